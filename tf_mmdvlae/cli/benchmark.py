"""bin/benchmark: how fast training is, and how fast an export answers."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """measures speed, side by side in one run, and prints a table.

  bin/benchmark --training                       on random images of each data set's size
  bin/benchmark --serving --export=exports/mnist  beside the live model's predict"""


def _define(values):
    flags.DEFINE_bool(
        "training",
        False,
        "images/s of training, the MMD's share of a step, cached input against training",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "serving",
        False,
        "latency and images/s of an export's signatures, beside the live model",
        flag_values=values,
    )
    flags.DEFINE_string("export", None, "an export, such as exports/mnist", flag_values=values)
    flags.DEFINE_list(
        "datasets",
        ["mnist", "celeb_a"],
        "data sets whose default preset is run",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "rounds", 5, "how often each measurement is repeated", lower_bound=1, flag_values=values
    )
    flags.DEFINE_string("out", None, "JSON file for the figures", flag_values=values)


def _call(values):
    from tf_mmdvlae.errors import InputError

    if not (values.training or values.serving):
        raise InputError("Nothing to measure; give --training or --serving.")
    if values.serving:
        from tf_mmdvlae.cli.pictures import required

        required(values, "export")
    from tf_mmdvlae.files import write_json
    from tf_mmdvlae.workdir import provenance

    figures = provenance()
    if values.training:
        figures["training"] = _training(values)
    if values.serving:
        figures["serving"] = _serving(values)
    if values.out:
        write_json(values.out, figures)


def _training(values):
    from tf_mmdvlae.benchmarks.training_speed import training_speed
    from tf_mmdvlae.configs import get_config

    rows = {}
    for dataset in values.datasets:
        config = get_config(dataset)
        print(f"{dataset}: measuring ...", flush=True)
        rows[dataset] = training_speed(config, values.rounds)
    _print_table(rows)
    return rows


def _serving(values):
    from tf_mmdvlae.benchmarks.serving_speed import serving_speed

    print(f"{values.export}: measuring ...", flush=True)
    speed = serving_speed(values.export, values.rounds)
    print(
        f"\n{speed['path']}: {speed['megabytes']:.1f} MB, loaded in {speed['load_seconds']:.1f} s. "
        "Ratios are to the live model's predict.\n"
    )
    print(f"{'call':<12}{'batch':>6}{'first ms':>10}{'ms':>9}{'images/s':>10}{'ratio':>8}")
    for row in speed["rows"]:
        print(
            f"{row['signature']:<12}{row['batch']:>6}{row['first_milliseconds']:>10,.0f}"
            f"{row['milliseconds']['median']:>9.2f}{row['images_per_second']['median']:>10,.0f}"
            f"{row['ratio']['median']:>7.1f}x"
        )
    if speed["bytes_milliseconds_over"]:
        over = speed["bytes_milliseconds_over"]["median"]
        print(f"\nedit_bytes takes {over:.2f} ms a picture over edit in batches of 64.")
    return speed


def _print_table(rows):
    print(f"\n{'data set':<18}{'images/s':>10}{'MMD share':>11}{'input images/s':>16}{'ratio':>8}")
    for dataset, row in rows.items():
        print(
            f"{dataset:<18}{row['images_per_second']['median']:>10,.0f}"
            f"{row['mmd_share']['median']:>11.1%}"
            f"{row['input_images_per_second']['median']:>16,.0f}"
            f"{row['input_ratio']['median']:>7.0f}x"
        )


def main():
    """Runs the command; returns its exit code."""
    return run("benchmark", _ABOUT, _define, _call)
