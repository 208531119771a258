"""Measures a run or an export, and writes evaluation.json and report.html.

  bin/evaluate --workdir=runs/mnist
  bin/evaluate --export=exports/mnist --dataset=mnist
  bin/evaluate --workdir=runs/mnist --features=classifiers/mnist

A run is measured on its own data; an export needs --dataset.
"""

import pathlib
from types import SimpleNamespace

from tf_mmdvlae.cli.command import (
    DATA_FLAGS,
    EXPORT,
    RUN_DATA_DIR,
    Command,
    Flag,
    data_name,
    data_settings,
    place,
)

FLAGS = {
    "workdir": Flag(place, "folder of a finished run"),
    "export": EXPORT._replace(help=f"in place of a run, {EXPORT.help}", required=False),
    "dataset": Flag(str, "data set on which an export is measured"),
    **DATA_FLAGS,
    "data_dir": RUN_DATA_DIR,
    "out": Flag(place, "folder for both files [default: the run's, or runs/evaluation/<dataset>]"),
    "metrics": Flag(
        list,
        "families of metrics, with commas between them, such as reconstruction,samples; the "
        "message for an unknown name lists them [default: all]",
    ),
    "features": Flag(
        str,
        "space in which samples are compared: pixels, inception, a folder of "
        "bin/train_classifier, a Keras file or a SavedModel",
        "pixels",
    ),
    "judge": Flag(
        place,
        "folder of bin/train_classifier whose classifier reads labels off edited pictures "
        "[default: --features, if that is such a folder]",
    ),
    "images": Flag(int, "number of test images to use [default: all]", at_least=100),
    "seed": Flag(int, "seed of all random draws", 0, at_least=0),
}


def _run(flags):
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.serving.loaded import manifest_of
    from tf_mmdvlae.training.workdir import Workdir

    require_families(flags.metrics)
    if bool(flags.workdir) == bool(flags.export):
        raise InputError("Give either --workdir (a run) or --export with --dataset.")
    if flags.export and not flags.dataset:
        raise InputError("--export needs --dataset, the data set that it is judged on.")
    for name in ("dataset", "image_dir", "labels"):
        if flags.workdir and getattr(flags, name):
            raise InputError(f"--{name} is for --export; a run knows its own data.")
    data = data_settings(flags)
    if flags.workdir:
        Workdir(flags.workdir).read_finished_config()
    else:
        manifest_of(flags.export)
    # Here, because it imports TensorFlow.
    from tf_mmdvlae.evaluation import evaluate

    if flags.workdir:
        subject = evaluate.run_subject(flags.workdir, flags.data_dir)
    else:
        subject = evaluate.export_subject(flags.export, flags.dataset, **data)
    out = pathlib.Path(flags.out or flags.workdir or f"runs/evaluation/{data_name(flags)}")
    evaluation = evaluate.evaluate(
        subject, out, flags.metrics, flags.features, judge_of(flags), flags.seed, flags.images
    )
    _print_summary(evaluation)
    print(f"\nReport:   {out / 'report.html'}  (open it in a browser)")
    print(f"Numbers:  {out / 'evaluation.json'}")


def require_families(metrics: list[str] | None) -> None:
    """Refuses names of --metrics that are no families."""
    if metrics:
        from tf_mmdvlae.evaluation.families import family

        for name in metrics:
            family(name)


def judge_of(flags: SimpleNamespace) -> str | None:
    """The classifier that reads labels: --judge, or --features if that is such a classifier."""
    if flags.judge or not (pathlib.Path(flags.features) / "classifier.json").exists():
        return flags.judge
    return flags.features


def _print_summary(evaluation):
    from tf_mmdvlae.evaluation.families import summary

    print()
    for row in summary(evaluation):
        print(f"  {row.title:<54}{row.text()}")


main = Command("evaluate", __doc__, FLAGS, _run)
