"""bin/benchmark: how fast training, its input and an export are, and beside what."""

import pathlib

from absl import flags

from tf_mmdvlae.cli.command import run

_ABOUT = """measures speed, side by side in one run, and prints a table.

  bin/benchmark --training                       on random images of each data set's size
  bin/benchmark --input --datasets=celeb_a --data_dir=DIR
  bin/benchmark --mmd                            each estimator, for batches of 64 to 65,536
  bin/benchmark --scaling                        two workers beside one; networks for 8 and 64
  bin/benchmark --serving --export=exports/mnist  beside the live model's predict"""


def _define(values):
    def switch(name, about):
        flags.DEFINE_bool(name, False, about, flag_values=values)

    switch("training", "training beside this machine's ceilings, plain Keras and pythae")
    switch("input", "images/s of a data set: decoded anew, from the disk cache, from memory")
    switch("mmd", "time and memory of each estimator of the MMD, by batch and dimensions")
    switch("scaling", "two workers beside one, and what 8 and 64 would send each other")
    switch("serving", "latency and images/s of an export's signatures, beside the live model")
    flags.DEFINE_bool(
        "pythae",
        None,
        "time pythae's INFOVAE_MMD beside training [default: where it is installed]",
        flag_values=values,
    )
    flags.DEFINE_string("export", None, "an export, such as exports/mnist", flag_values=values)
    flags.DEFINE_list(
        "datasets",
        ["mnist", "celeb_a"],
        "data sets whose presets are run",
        flag_values=values,
    )
    flags.DEFINE_list(
        "presets",
        None,
        "presets that are trained [default: default and paper, where a data set has it]",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "root of the TFDS data sets, for --input [default: TFDS's own, ~/tensorflow_datasets]",
        flag_values=values,
    )
    flags.DEFINE_string(
        "image_dir",
        None,
        "folder of pictures, for --input --datasets=image_folder",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "images", 8000, "images of a data set for --input", lower_bound=1, flag_values=values
    )
    flags.DEFINE_integer(
        "rounds", 5, "how often each measurement is repeated", lower_bound=1, flag_values=values
    )
    flags.DEFINE_string("out", None, "JSON file for the figures", flag_values=values)


def _call(values):
    from tf_mmdvlae.common.errors import InputError

    parts = {
        "training": _training,
        "input": _input,
        "mmd": _mmd,
        "scaling": _scaling,
        "serving": _serving,
    }
    wanted = {name: measure for name, measure in parts.items() if getattr(values, name)}
    if not wanted:
        raise InputError(
            "Nothing to measure; give --training, --input, --mmd, --scaling or --serving."
        )
    if values.serving:
        from tf_mmdvlae.cli.images import required

        required(values, "export")
    from benchmarks.machine import machine
    from tf_mmdvlae.common.files import write_json
    from tf_mmdvlae.common.provenance import provenance

    if values.out:
        _prove_writable(values.out)
    figures = {**provenance(), "machine": machine()}
    print(_in_words(figures), flush=True)
    for name, measure in wanted.items():
        figures[name] = measure(values)
        # What comes after it may fail.
        if values.out:
            write_json(values.out, figures)


def _prove_writable(path):
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.common.files import make_folder

    path = pathlib.Path(path)
    if path.is_dir():
        raise InputError(f"--out={path} is a folder; give a file.")
    make_folder(path.parent)


def _in_words(figures):
    where, versions = figures["machine"], figures["versions"]
    return (
        f"{where['processor']}, {where['cores']} cores{where['gpu'] and ', ' + where['gpu']}; "
        f"TensorFlow {versions['tensorflow']}, Keras {versions['keras']}"
    )


def _training(values):
    from benchmarks import pythae_model
    from benchmarks.peak_memory import peak_memory
    from benchmarks.steps import mixed_policy
    from benchmarks.tables import training_tables
    from benchmarks.training_speed import training_speed
    from tf_mmdvlae.config import get_config, presets_of

    chosen = []
    for dataset in values.datasets:
        get_config(dataset)
        names = values.presets or [
            name for name in ("default", "paper") if name in presets_of(dataset)
        ]
        chosen += [(f"{dataset} {name}", get_config(dataset, name)) for name in names]
    policies = ("float32", mixed_policy())
    pythae = pythae_model.is_installed() if values.pythae is None else values.pythae
    if pythae:
        pythae_model.check_installed()
    rows = {}
    for name, config in chosen:
        print(f"{name}: measuring ...", flush=True)
        row = training_speed(config, values.rounds, policies, pythae)
        for policy in policies:
            row["precisions"][policy]["memory"] = peak_memory(config, policy)
        rows[name] = row
    print(training_tables(rows))
    if not pythae:
        print("\nNot compared with pythae; for that, pip install --editable '.[benchmark]'.")
    return rows


def _input(values):
    import dataclasses

    from benchmarks.input_speed import input_speed
    from benchmarks.tables import input_table
    from tf_mmdvlae.config import get_config

    rows = {}
    for dataset in values.datasets:
        config = get_config(dataset)
        folders = {"data_dir": values.data_dir, "image_dir": values.image_dir}
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, **folders))
        print(f"{dataset}: measuring ...", flush=True)
        rows[dataset] = input_speed(config, values.images, values.rounds)
    print(input_table(rows))
    return rows


def _mmd(values):
    from benchmarks.mmd_speed import mmd_speed
    from benchmarks.tables import mmd_table

    print("MMD: measuring, some five minutes ...", flush=True)
    rows = mmd_speed(rounds=values.rounds)
    print(mmd_table(rows))
    return rows


def _scaling(values):
    from benchmarks.scaling import scaling_speed
    from benchmarks.scaling_model import scaling_model
    from benchmarks.tables import scaling_tables
    from tf_mmdvlae.config import get_config

    rows = {}
    for dataset in values.datasets:
        config = get_config(dataset)
        print(f"{dataset}: measuring ...", flush=True)
        rows[dataset] = {
            "measured": scaling_speed(config, values.rounds),
            "model": scaling_model(config.model, config.train.batch_size),
        }
    print(scaling_tables(rows))
    return rows


def _serving(values):
    from benchmarks.serving_speed import serving_speed
    from benchmarks.tables import serving_table

    print(f"{values.export}: measuring ...", flush=True)
    speed = serving_speed(values.export, values.rounds)
    print(serving_table(speed))
    return speed


def main():
    """Runs the command; returns its exit code."""
    return run("benchmark", _ABOUT, _define, _call)
