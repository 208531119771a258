"""Trains the model and its relatives alike, measures all, and writes one table.

  bin/compare --dataset=mnist --steps=3000 --seeds=3
  bin/compare --dataset=mnist --steps=3000 --models=vae,mmd_vlae,paper
  bin/compare --dataset=image_folder --image_dir=DIR

The model `paper` is a network of its own; the others have the preset's network. If a comparison
was stopped, the same command continues it.
"""

from tf_mmdvlae.cli import command
from tf_mmdvlae.cli.command import DATA_FLAGS, DATASET, SIZE_FLAGS, Command, Flag, place
from tf_mmdvlae.cli.evaluate import judge_of, require_families
from tf_mmdvlae.config.relatives import RELATIVES

_MODELS = (*RELATIVES, "paper")
FLAGS = {
    "dataset": DATASET,
    "preset": Flag(str, "preset with the networks and settings", "default"),
    "steps": Flag(int, "training steps of each run [default: the preset's]", at_least=1),
    "seeds": Flag(int, "runs of each model, with seeds 0, 1, ...", 1, at_least=1),
    "models": Flag(list, f"some of {', '.join(_MODELS)} [default: all but paper]", choices=_MODELS),
    "metrics": Flag(list, "families of metrics; see bin/evaluate --help [default: all]"),
    "features": Flag(str, "space in which samples are compared; see bin/evaluate --help", "pixels"),
    "judge": Flag(place, "folder of bin/train_classifier; see bin/evaluate --help"),
    **DATA_FLAGS,
    **SIZE_FLAGS,
    "workdir": Flag(
        place,
        "folder of the comparison [default: runs/compare/<dataset>; for a folder its name follows]",
    ),
}


def _run(flags):
    from tf_mmdvlae.config.overrides import fields_by_section

    require_families(flags.metrics)
    fields = fields_by_section(flags.overrides)
    if flags.steps:
        fields["train"].setdefault("steps", flags.steps)
    config = command.settings_for(flags, flags.preset, fields)
    # Here, because it imports TensorFlow.
    from tf_mmdvlae.evaluation.compare import compare
    from tf_mmdvlae.evaluation.report.comparison import markdown_table

    workdir = flags.workdir or f"runs/compare/{command.data_name(flags)}"
    models = flags.models or tuple(RELATIVES)
    comparison = compare(
        config, workdir, models, flags.seeds, flags.metrics, flags.features, judge_of(flags)
    )
    print(f"\n{markdown_table(comparison)}")
    print(f"Table:    {workdir}/comparison.md")
    print(f"Figures:  {workdir}/comparison.html  (open it in a browser)")
    print(f"Numbers:  {workdir}/comparison.json")


main = Command("compare", __doc__, FLAGS, _run, takes_config=True)
