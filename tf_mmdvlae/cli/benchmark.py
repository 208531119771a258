"""bin/benchmark: how fast training is, and what it spends its time on."""

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """measures speed, side by side in one run, and prints a table.

  bin/benchmark --training                       on synthetic images of each data set's size"""


def _define(values):
    flags.DEFINE_bool(
        "training",
        False,
        "images/s of training, the MMD's share of a step, cached input against training",
        flag_values=values,
    )
    flags.DEFINE_list(
        "datasets",
        ["mnist", "celeb_a"],
        "data sets whose default preset is run",
        flag_values=values,
    )
    flags.DEFINE_integer("rounds", 5, "how often each measurement is repeated", flag_values=values)
    flags.DEFINE_string("out", None, "JSON file for the figures", flag_values=values)


def _call(values):
    from tf_mmdvlae.errors import InputError

    if not values.training:
        raise InputError("Nothing to measure; give --training.")
    from tf_mmdvlae.benchmark import training_speed
    from tf_mmdvlae.configs import get_config
    from tf_mmdvlae.files import write_json
    from tf_mmdvlae.workdir import provenance

    rows = {}
    for dataset in values.datasets:
        config = get_config(dataset)
        print(f"{dataset}: measuring ...", flush=True)
        rows[dataset] = training_speed(config, values.rounds)
    _print_table(rows)
    if values.out:
        write_json(values.out, {**provenance(), "training": rows})


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
