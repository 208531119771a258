"""bin/evaluate: how good a trained model is, and what each of its layers knows."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """measures a run or an export, and writes evaluation.json and report.html.

  bin/evaluate --workdir=runs/mnist
  bin/evaluate --export=exports/mnist --dataset=mnist
  bin/evaluate --workdir=runs/mnist --features=classifiers/mnist"""


def _define(values):
    flags.DEFINE_string("workdir", None, "folder of a finished run", flag_values=values)
    flags.DEFINE_string(
        "export", None, "an export, such as exports/mnist, in the run's place", flag_values=values
    )
    flags.DEFINE_string("dataset", None, "what an export is judged on", flag_values=values)
    flags.DEFINE_string(
        "data_dir", None, "root of the TFDS data sets [default: the run's]", flag_values=values
    )
    flags.DEFINE_string(
        "image_dir", None, "folder of pictures, for an export on image_folder", flag_values=values
    )
    flags.DEFINE_string(
        "labels", None, "CSV of labels, for an export on image_folder", flag_values=values
    )
    flags.DEFINE_string(
        "out",
        None,
        "folder for the two files [default: the run's; runs/evaluation/DATASET for an export]",
        flag_values=values,
    )
    flags.DEFINE_list(
        "metrics",
        None,
        "which, with commas between them: reconstruction, samples, prior, knowledge, "
        "disentanglement, arithmetic, semi_supervised [default: all]",
        flag_values=values,
    )
    flags.DEFINE_string(
        "features",
        "pixels",
        "space in which samples are compared: pixels, inception, a folder of bin/train_classifier, "
        "a Keras file or a SavedModel",
        flag_values=values,
    )
    flags.DEFINE_string(
        "judge",
        None,
        "folder of bin/train_classifier that reads labels off edited pictures [default: the "
        "folder given as --features]",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "images", None, "look at that many test images only", lower_bound=100, flag_values=values
    )
    flags.DEFINE_integer("seed", 0, "of everything drawn", lower_bound=0, flag_values=values)


def _call(values):
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.evaluation.families import metric

    for name in values.metrics or ():
        metric(name)
    if bool(values.workdir) == bool(values.export):
        raise InputError("Give either --workdir (a run) or --export with --dataset.")
    if values.export and not values.dataset:
        raise InputError("--export needs --dataset, the data set that it is judged on.")
    for name in ("dataset", "image_dir", "labels"):
        if values.workdir and values[name].value:
            raise InputError(f"--{name} is for --export; a run knows its own data.")

    import pathlib

    from tf_mmdvlae.evaluation import evaluate

    if values.workdir:
        subject = evaluate.run_subject(values.workdir, values.data_dir)
        out = values.out or values.workdir
    else:
        given = {n: values[n].value for n in ("data_dir", "image_dir", "labels")}
        given = {name: value for name, value in given.items() if value}
        subject = evaluate.export_subject(values.export, values.dataset, **given)
        out = values.out or f"runs/evaluation/{values.dataset}"
    evaluation = evaluate.evaluate(
        subject,
        out,
        values.metrics,
        values.features,
        judge_of(values),
        values.seed,
        values.images,
    )
    _print_summary(evaluation)
    print(f"\nReport:   {pathlib.Path(out) / 'report.html'}  (open it in a browser)")
    print(f"Numbers:  {pathlib.Path(out) / 'evaluation.json'}")


def judge_of(values):
    """The classifier that reads labels: --judge, or --features if that is such a classifier."""
    import pathlib

    if values.judge or not (pathlib.Path(values.features) / "classifier.json").exists():
        return values.judge
    return values.features


def _print_summary(evaluation):
    from tf_mmdvlae.evaluation.report.summary import summary

    print()
    for row in summary(evaluation):
        print(f"  {row.title:<54}{row.text()}")


def main():
    """Runs the command; returns its exit code."""
    return run("evaluate", _ABOUT, _define, _call)
