"""bin/train: trains a model, resumes a stopped run, writes figures and a SavedModel."""

import dataclasses
import os

from absl import flags

from tf_mmdvlae.cli.command import bars_on_terminals_only, run

_ABOUT = """trains an MMD variational ladder autoencoder.

  bin/train --dataset=synthetic_faces            needs no download
  bin/train --dataset=mnist                      or celeb_a, or any TFDS image set
  bin/train --dataset=image_folder --image_dir=DIR

The same command again goes on where a stopped run left off. Any field of the config can be set:
--config.model.latent_dims=2,2,2 --config.train.learning_rate=5e-4 (see
tf_mmdvlae/config/settings.py)."""


def _define(values):
    def text(name, about):
        flags.DEFINE_string(name, None, about, flag_values=values)

    text("dataset", "data set: a TFDS name, synthetic_faces or image_folder")
    text("workdir", "folder of the run [default: runs/<dataset>]")
    text("export_dir", "folder of the SavedModel's versions [default: exports/<dataset>]")
    flags.DEFINE_string("preset", "default", "preset of the data set's config", flag_values=values)
    text("data_dir", "root of the TFDS data sets [default: TFDS's own, ~/tensorflow_datasets]")
    text("image_dir", "folder of JPEG and PNG pictures, for --dataset=image_folder")
    text("labels", "CSV file of an image folder: file name, then a column an attribute")
    text("cache", "where decoded images are kept: auto, memory, disk or none")
    text("init_from", "workdir of a finished run whose weights to start from")
    text("precision", "float32, mixed_bfloat16 or mixed_float16 [default: float32]")
    text("xla", "compile the step by XLA: auto (on a GPU), on or off [default: auto]")
    text("distribute", "none, mirrored (all local GPUs) or multi_worker (by TF_CONFIG)")
    text("on_divergence", "stop, or rollback to the last good checkpoint [default: stop]")
    for name, about in (
        ("steps", "training steps [default: the preset's]"),
        ("batch_size", "images a step [default: the preset's]"),
        ("seed", "of weights, data order and noise [default: the preset's]"),
        ("steps_per_execution", "steps between two returns to Python [default: 1]"),
    ):
        flags.DEFINE_integer(name, None, about, flag_values=values)
    flags.DEFINE_bool(
        "overwrite", False, "measure, draw and export a finished run again", flag_values=values
    )


def _call(values, overrides):
    from tf_mmdvlae.common.errors import InputError
    from tf_mmdvlae.config import get_config
    from tf_mmdvlae.config import settings as configs

    if not values.dataset:
        from tf_mmdvlae.config import known_datasets

        raise InputError(
            f"Give --dataset: one of {', '.join(known_datasets())}, or another TFDS image set."
        )
    if values.dataset != "image_folder":
        bars_on_terminals_only()
    data = _given(values, "data_dir", "image_dir", "labels", "cache")
    for name in ("image_dir", "labels"):
        if data.get(name) and values.dataset != "image_folder":
            raise InputError(
                f"--{name} needs --dataset=image_folder, but --dataset is {values.dataset}."
            )

    train = _given(
        values,
        "steps",
        "batch_size",
        "seed",
        "init_from",
        "precision",
        "xla",
        "steps_per_execution",
        "distribute",
        "on_divergence",
    )

    def describe():
        from tf_mmdvlae.data import pipeline

        # Before what may be a long download.
        configs.TrainConfig(**{**train, "steps_per_execution": 1})
        configs.check_changes(overrides)
        return pipeline.describe(configs.DataConfig(dataset=values.dataset, **data))

    config = get_config(values.dataset, values.preset, describe)
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, **data))
    config = dataclasses.replace(config, train=dataclasses.replace(config.train, **train))
    config = configs.override(config, overrides)

    from tf_mmdvlae.training.run import train as train_run

    workdir = values.workdir or f"runs/{values.dataset}"
    export_dir = values.export_dir or f"exports/{values.dataset}"
    result = train_run(config, workdir, export_dir, values.overwrite)
    if result is not None:
        _print_result(result)


def _given(values, *names):
    given = {name: values[name].value for name in names if values[name].value is not None}
    for name in set(given) & {"data_dir", "image_dir", "labels", "init_from"}:
        # A run is resumed and drawn again from any folder.
        given[name] = os.path.abspath(os.path.expanduser(given[name]))
    return given


def _print_result(result):
    if result.was_finished:
        print(
            f"The run in {result.workdir} is finished; --overwrite measures, draws and exports it"
        )
        print("again, another --workdir starts a new one.")
    test = result.metrics["test"]
    print(f"\nTest split ({result.metrics['test_images']:,} images):")
    for name, estimate in test.items():
        error = estimate["standard_error"]
        spread = "" if error is None else f" +- {error:.2g}"
        value = "not a number" if estimate["value"] is None else f"{estimate['value']:.4f}"
        print(f"  {name:<12}{value}{spread}")
    _print_probes(result.metrics["probes"])
    print(f"\nFigures:     {result.workdir / 'figures'}")
    print(f"Metrics:     {result.workdir / 'metrics.json'}")
    print(f"Model:       {result.workdir / 'model.keras'}")
    print(f"SavedModel:  {result.export}")


def _print_probes(probes):
    if not probes:
        return
    layers = list(next(iter(probes.values()))["layers"])
    print("\nWhat the mean codes tell (test split), by layer and all layers joined:")
    print(f"  {'label':<24}{'measure':<30}{'chance':>8}" + "".join(f"{n:>8}" for n in layers))
    for label, probe in probes.items():
        numbers = [probe["chance"], *(probe["layers"][name]["value"] for name in layers)]
        cells = "".join(f"{'-':>8}" if n is None else f"{n:>8.3f}" for n in numbers)
        print(f"  {label:<24}{probe['measure']:<30}{cells}")


def main():
    """Runs the command; returns its exit code."""
    return run("train", _ABOUT, _define, _call, takes_config=True)
