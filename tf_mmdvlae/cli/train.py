"""Trains an MMD variational ladder autoencoder; writes its figures, its metrics and a SavedModel.

  bin/train --dataset=synthetic_faces            needs no download
  bin/train --dataset=mnist                      or celeb_a, or any TFDS image set
  bin/train --dataset=image_folder --image_dir=DIR
  bin/train --config_file=runs/mnist/config.json --seed=1 --workdir=runs/mnist_1

If a run was stopped, the same command resumes it. Any field of the config can be set, as in
--config.model.kernel=gaussian --config.model.blocks="conv16/2 conv32/2 | dense256"; the fields
stand in tf_mmdvlae/config/settings.py.
"""

import contextlib

from tf_mmdvlae.cli import command
from tf_mmdvlae.cli.command import (
    DATA_FLAGS,
    DATASET,
    SIZE_FLAGS,
    Command,
    Flag,
    absolute_path,
    absolute_path_or_name,
    place,
)
from tf_mmdvlae.cli.own_callbacks import find_function, make_callbacks
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import known_datasets, unversioned
from tf_mmdvlae.config.layouts import CROPS, LAYOUTS

_TRAIN_FLAGS = {
    "steps": Flag(
        int,
        "training steps; more than a finished run's continue it "
        "[default: the preset's; for a folder 40 epochs or more]",
    ),
    "batch_size": Flag(int, "images per step [default: the preset's]"),
    "learning_rate": Flag(float, "Adam's, before it falls [default: the preset's]"),
    "seed": Flag(int, "seed of weights, data order and noise [default: the preset's]"),
    "init_from": Flag(
        absolute_path_or_name,
        "workdir of a finished run whose weights to start from, or its name on the Hugging Face "
        "Hub, hf://user/name[@revision]",
    ),
    "precision": Flag(str, "float32, mixed_bfloat16 or mixed_float16 [default: the preset's]"),
    "xla": Flag(str, "compile the step by XLA: on, off or auto (on a GPU) [default: auto]"),
    "steps_per_execution": Flag(int, "steps between two returns to Python [default: 1]"),
    "distribute": Flag(
        str, "none, mirrored (all GPUs of this machine) or multi_worker (machines of TF_CONFIG)"
    ),
    "on_divergence": Flag(str, "stop, or rollback (to the last good checkpoint) [default: stop]"),
    "stop_after": Flag(
        int,
        "end the run once so many measurements of held-out images are no better than the best, and "
        "keep its weights [default: 0, never]",
    ),
}
FLAGS = {
    "dataset": DATASET._replace(required=False, help=f"{DATASET.help}; or give --config_file"),
    "preset": Flag(str, "preset of the data set's config [default: default]"),
    "config_file": Flag(
        place,
        "config.json of a run, in place of --dataset and --preset: its settings hold where no flag "
        "says otherwise",
    ),
    "workdir": Flag(
        place,
        "folder of the run [default: runs/<dataset>; for a folder of pictures its name follows]",
    ),
    "export_dir": Flag(place, "folder of the SavedModel's versions [default: exports/<likewise>]"),
    **DATA_FLAGS,
    "align": Flag(
        bool,
        "lay the faces of --image_dir as CelebA's lie, in the folder <workdir>_aligned, and train "
        "on that; needs the extra [align]",
    ),
    "cache": Flag(str, "where decoded images are kept: auto, memory, disk or none"),
    **SIZE_FLAGS,
    "latent_dims": Flag(
        str,
        "dimensions of the latent layers: one number for all, or one per layer, lowest first",
    ),
    "epochs": Flag(float, "how often the run sees each training image, in place of --steps"),
    **_TRAIN_FLAGS,
    "callbacks": Flag(
        list,
        "module:function of Keras callbacks of your own, with commas between several; the function "
        "takes the run's config and returns a callback or a list",
    ),
    "overwrite": Flag(bool, "measure, draw and export a finished run again"),
    "dry_run": Flag(
        bool,
        "print the settings, and what the run would take here, by 20 steps; write nothing but "
        "caches",
    ),
}


def _run(flags):
    from tf_mmdvlae.config.overrides import fields_by_section
    from tf_mmdvlae.config.settings import DataConfig
    from tf_mmdvlae.training.workdir import Workdir, find_workdir

    fields = fields_by_section(flags.overrides)
    for section, names in (("data", ["cache"]), ("train", _TRAIN_FLAGS)):
        given = {name: getattr(flags, name) for name in names if getattr(flags, name) is not None}
        fields[section] = {**given, **fields[section]}
    latent_dims = None
    if flags.latent_dims is not None:
        dims = fields_by_section([("model.latent_dims", flags.latent_dims)])
        latent_dims = dims["model"]["latent_dims"]
    source = _source(flags)
    for function in flags.callbacks or ():
        find_function(function)
    name = _name(flags)
    workdir, export_dir = flags.workdir or f"runs/{name}", flags.export_dir or f"exports/{name}"
    if flags.align and flags.dry_run:
        raise InputError(
            "--align writes pictures, and --dry_run nothing; give the folder of bin/align as "
            "--image_dir, without --align."
        )
    if flags.align:
        fields["data"].setdefault("crop", CROPS["celeb_a"])
        flags.image_dir = _aligned(flags, f"{workdir}_aligned")
    if flags.dataset == "image_folder" and (data := _data_of(workdir)):
        # Steps and splits follow from the files that the run began with.
        fields["data"].setdefault("listing", data.listing)
    images_decide = flags.epochs or unversioned(flags.dataset) not in known_datasets()
    if flags.dry_run and images_decide:
        data = {"dataset": flags.dataset, **command.data_settings(flags), **fields["data"]}
        if missing := _missing_data(DataConfig(**data)):
            raise InputError(f"{missing} Its images decide on the settings.")
    config = command.settings_for(
        flags, source, fields, latent_dims=latent_dims, epochs=flags.epochs
    )
    if config.train.init_from and not Workdir(workdir).has_begun:
        find_workdir(config.train.init_from).read_finished_config()
    if flags.dry_run:
        _try(config, workdir, export_dir)
        return
    # Here, because it imports TensorFlow.
    from tf_mmdvlae.training.train import train as train_run

    is_finished = Workdir(workdir).has_results(config.train.steps) and not flags.overwrite
    callbacks = [] if is_finished else _callbacks(flags.callbacks or (), config)
    result = train_run(config, workdir, export_dir, flags.overwrite, callbacks=callbacks)
    if result is not None:
        _print_result(result)


def _callbacks(names, config):
    from tf_mmdvlae.training.workers import place_of_process

    if config.train.distribute == "multi_worker" and place_of_process()[0]:
        # Every line would be logged once per worker.
        return []
    return [callback for name in names for callback in make_callbacks(name, config)]


def _try(config, workdir, export_dir):
    from tf_mmdvlae.common.memory import available_memory
    from tf_mmdvlae.common.progress import duration
    from tf_mmdvlae.config.memory import least_memory
    from tf_mmdvlae.config.overrides import as_flags
    from tf_mmdvlae.config.products import operations
    from tf_mmdvlae.training.workdir import Workdir

    def show(name, value):
        print(f"  {name:<12}{value}", flush=True)

    folder = Workdir(workdir)
    config = folder.admit(config)
    print("\n".join(as_flags(config)) + "\n")
    train, step = config.train, operations(config.model) * config.train.batch_size
    show("workdir", workdir)
    show("export", export_dir)
    show("step", f"{train.batch_size} images, {step / 1e9:,.3g} GFLOP (convolutions, products)")
    needed, free = least_memory(config) / 1e9, available_memory() / 1e9
    show("memory", f"{needed:,.2g} GB at least; {free:,.1f} GB of this machine's are free")
    if folder.has_results(train.steps):
        print(f"The run in {workdir} is finished.")
        return
    # Here, because it imports TensorFlow.
    from tf_mmdvlae.training.trial import STEPS, Trial

    trial = Trial(config, workdir, export_dir)
    show("device", trial.devices)
    show("parameters", f"{trial.parameters:,}")
    if missing := _missing_data(config.data):
        print(f"{missing} Without images no step can be tried.")
        return
    speed = trial.speed()
    rate = speed.images_per_second
    show("images", f"{speed.images:,} to train on")
    show("memory used", f"{speed.memory / 1e9:,.2g} GB at most in the steps that were tried")
    flops = rate * operations(config.model) / 1e9
    show("speed", f"{rate:,.0f} images/s over {STEPS} steps, {flops:,.3g} GFLOP/s")
    parts = {"reading": speed.reading, "training": speed.training, "results": speed.finishing}
    words = ", ".join(f"{name} {duration(seconds)}" for name, seconds in parts.items())
    left = f" (steps {trial.start:,} to {train.steps:,})" if trial.start else ""
    show("time", f"about {duration(sum(parts.values()))}{left}: {words}")


def _missing_data(data):
    """Says that a data set is not on this machine yet; "" if it is."""
    if data.dataset == "image_folder":
        return ""
    from tf_mmdvlae.data.builders import is_prepared

    if is_prepared(data):
        return ""
    how = "draws" if unversioned(data.dataset) == "synthetic_faces" else "downloads"
    return f"{data.dataset} is not prepared; a run {how} it first (bin/prepare takes files)."


def _source(flags):
    """The settings of --config_file, or else the name of the preset; adds what the file names.

    Those of a run that went on with more steps are taken as those of one run of all its steps.
    """
    if not flags.config_file:
        main.require(flags, "dataset")
        return flags.preset or "default"
    from tf_mmdvlae.training.workdir import read_settings

    if flags.preset:
        raise InputError("--preset and --config_file both say what the settings are; give one.")
    fields = {"model": dict, "data": {"dataset": str}, "train": dict}
    config = read_settings(flags.config_file, "Give the config.json of a run.", fields)
    name = unversioned(config.data.dataset)
    flags.dataset = flags.dataset or name
    if unversioned(flags.dataset) != name:
        raise InputError(
            f"{flags.config_file} is of {name}, not of {flags.dataset}; leave --dataset out, or "
            "give --preset in place of --config_file."
        )
    flags.image_dir = flags.image_dir or config.data.image_dir
    # The version that the file names stays where the flag names none.
    dataset = flags.dataset if ":" in flags.dataset else config.data.dataset
    return config.changed(data={"dataset": dataset}, train={"continued_from": 0})


def _aligned(flags, out):
    """The folder, an absolute path, with the aligned pictures of --image_dir."""
    from tf_mmdvlae.data.align import ALIGNED, TABLE, align_folder, in_words

    if flags.dataset != "image_folder" or not flags.image_dir:
        raise InputError("--align needs --dataset=image_folder and --image_dir=DIR.")
    print(f"Aligning the faces of {flags.image_dir} ...", flush=True)
    results = align_folder(flags.image_dir, out, LAYOUTS["celeb_a"])
    print(f"{in_words(results)}; {out}/{TABLE} lists all", flush=True)
    if not results[ALIGNED]:
        raise InputError(f"{flags.image_dir} shows no face; without --align it is used as it is.")
    return absolute_path(out)


def _name(flags):
    """The name of the default folders, `command.data_name` but for old runs on image folders.

    Those lie in runs/image_folder, and go on there.
    """
    before = _data_of("runs/image_folder") if flags.dataset == "image_folder" else None
    if before and flags.image_dir and before.image_dir == flags.image_dir:
        return flags.dataset
    return command.data_name(flags)


def _data_of(workdir):
    """The data settings of the run in a folder; None where there is none that can be read."""
    from tf_mmdvlae.training.workdir import Workdir

    with contextlib.suppress(InputError):
        return Workdir(workdir).read_config().data
    return None


def _print_result(result):
    if result.was_finished:
        goes_on = "More --steps continue it"
        taken, planned = (result.metrics.get(name) for name in ("stopped_at", "planned_steps"))
        if taken != planned:
            goes_on = f"It ended at step {taken:,}, of {planned:,}, as it got no better"
        print(
            f"The run in {result.workdir} is finished. {goes_on}; --overwrite\n"
            "measures, draws and exports it again; another --workdir starts a new run."
        )
    print(f"\nTest split ({result.metrics['test_images']:,} images):")
    for name, estimate in result.metrics["test"].items():
        error = estimate["standard_error"]
        spread = "" if error is None else f" +- {error:.2g}"
        value = "not a number" if estimate["value"] is None else f"{estimate['value']:.4f}"
        print(f"  {name:<12}{value}{spread}")
    if result.metrics.get("chosen_on") == "test":
        print("The run chose its weights by the first of these images: errors are a bit too good.")
    _print_probes(result.metrics["probes"])
    print(f"\nFigures:     {result.workdir / 'figures'}")
    print(f"Metrics:     {result.workdir / 'metrics.json'}")
    print(f"Model:       {result.workdir / 'model.keras'}")
    print(f"SavedModel:  {result.export}")


def _print_probes(probes):
    if not probes:
        return
    layers = list(next(iter(probes.values()))["layers"])
    print("\nLabels read off the mean codes (test split), by layer and from all layers joined:")
    print(f"  {'label':<24}{'measure':<30}{'chance':>8}" + "".join(f"{n:>8}" for n in layers))
    for label, probe in probes.items():
        numbers = [probe["chance"], *(probe["layers"][name]["value"] for name in layers)]
        cells = "".join(f"{'-':>8}" if n is None else f" {n:>7.3f}" for n in numbers)
        print(f"  {label:<24}{probe['measure']:<30}{cells}")


main = Command("train", __doc__, FLAGS, _run, takes_config=True)
