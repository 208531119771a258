"""bin/compare: the model beside its relatives, trained and measured alike."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """trains the model and its relatives alike, measures all, and writes one table.

  bin/compare --dataset=mnist --steps=3000 --seeds=3
  bin/compare --dataset=mnist --steps=3000 --models=vae,mmd_vlae,paper

The models: vae, mmd_vae, vlae, mmd_vlae, mmd_vlae_progressive, mmd_vlae_nested, and paper, which is
another network.
Given again, the command goes on where it stopped."""


def _define(values):
    flags.DEFINE_string("dataset", None, "one that has a config file", flag_values=values)
    flags.DEFINE_string("preset", "default", "the networks and settings", flag_values=values)
    flags.DEFINE_integer(
        "steps", None, "of each run [default: the preset's]", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer("seeds", 1, "runs of each model", lower_bound=1, flag_values=values)
    flags.DEFINE_list("models", None, "which [default: all but paper]", flag_values=values)
    flags.DEFINE_list(
        "metrics", None, "families; see bin/evaluate [default: all]", flag_values=values
    )
    flags.DEFINE_string(
        "features", "pixels", "space of samples; see bin/evaluate", flag_values=values
    )
    flags.DEFINE_string(
        "judge", None, "folder of bin/train_classifier; see bin/evaluate", flag_values=values
    )
    flags.DEFINE_string("data_dir", None, "root of the TFDS data sets", flag_values=values)
    flags.DEFINE_string(
        "workdir",
        None,
        "folder of the comparison [default: runs/compare/DATASET]",
        flag_values=values,
    )


def _call(values, overrides):
    import dataclasses

    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.config import get_config
    from tf_mmdvlae.config import settings as configs
    from tf_mmdvlae.evaluation.families import metric

    if not values.dataset:
        raise InputError("Give --dataset, such as --dataset=mnist.")
    for name in values.metrics or ():
        metric(name)
    config = get_config(values.dataset, values.preset)
    if values.data_dir:
        import os

        data_dir = os.path.abspath(os.path.expanduser(values.data_dir))
        config = dataclasses.replace(
            config, data=dataclasses.replace(config.data, data_dir=data_dir)
        )
    if values.steps:
        config = dataclasses.replace(
            config, train=dataclasses.replace(config.train, steps=values.steps)
        )
    config = configs.override(config, overrides)

    from tf_mmdvlae.cli.evaluate import judge_of
    from tf_mmdvlae.config.relatives import RELATIVES
    from tf_mmdvlae.evaluation.compare import compare
    from tf_mmdvlae.evaluation.report.comparison import markdown_table

    workdir = values.workdir or f"runs/compare/{values.dataset}"
    comparison = compare(
        config,
        workdir,
        values.models or tuple(RELATIVES),
        values.seeds,
        values.metrics,
        values.features,
        judge_of(values),
    )
    print(f"\n{markdown_table(comparison)}")
    print(f"Table:    {workdir}/comparison.md")
    print(f"Figures:  {workdir}/comparison.html  (open it in a browser)")
    print(f"Numbers:  {workdir}/comparison.json")


def main():
    """Runs the command; returns its exit code."""
    return run("compare", _ABOUT, _define, _call, takes_config=True)
