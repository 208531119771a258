"""A run: data, model, training with checkpoints, and at the end metrics, figures and export."""

import contextlib
import dataclasses
import pathlib
import zipfile

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import Diverged, InputError, TrainingStopped
from tf_mmdvlae.common.files import replacing, require_space, write_json
from tf_mmdvlae.common.provenance import provenance
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model import devices as machine
from tf_mmdvlae.model.directions import Directions
from tf_mmdvlae.model.functions import numpy_functions
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.model.samplers import Samplers
from tf_mmdvlae.model.schedule import HoldThenCosine
from tf_mmdvlae.serving.export import export
from tf_mmdvlae.serving.formats import other_formats
from tf_mmdvlae.training import finish
from tf_mmdvlae.training.callbacks import RunCallback, StopRequest
from tf_mmdvlae.training.checkpoints import Checkpoints, saved_size
from tf_mmdvlae.training.workdir import Workdir
from tf_mmdvlae.training.workers import Workers

# Of the test split: that many are compared between the SavedModel and each other format.
_CHECKED_IMAGES = 16
_ROLLBACKS = 3
# Averages with a momentum of .99 have left their beginning behind.
_SETTLED = 500


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run left behind.

    Attributes:
      workdir: the folder of the run.
      metrics: the contents of `metrics.json`.
      export: the SavedModel's version folder.
      was_finished: True if the run had ended before and nothing was done.
    """

    workdir: pathlib.Path
    metrics: dict
    export: pathlib.Path
    was_finished: bool = False


def train(config, workdir, export_dir, overwrite=False):
    """Trains a model, or goes on with a run that was stopped, and writes all that it leaves.

    Under `workdir`: `config.json`, `checkpoints/`, `tensorboard/`, `history.jsonl`, `figures/`,
    `directions.npz` (where the data have labels), `samplers.npz`, `model.keras` and, last,
    `metrics.json`; under `export_dir` a SavedModel in the next version.
    A run killed at any moment and started again ends in the same weights, bit for bit, as one that
    was never interrupted (on a CPU, with the same seed). Its `history.jsonl` has each step once;
    TensorBoard, whose files can't be rewound, shows the steps after the last checkpoint twice.

    Of several workers (`train.distribute`) the chief does this; each of the others keeps
    checkpoints of its own, under `workdir/workers/<index>/`, and a run goes on from the newest that
    any of them has.

    Args:
      config: a `Config`.
      workdir: the folder of the run; one that holds a run with the same config is resumed.
      export_dir: the folder of versions for the SavedModel.
      overwrite: True measures, draws and exports a finished run again.

    Returns:
      A `Result`; None in a worker that is not the chief.

    Raises:
      InputError: for a config, folder or data set that cannot be used.
      TrainingStopped: if the loss is not finite or runs away, SIGTERM or Ctrl-C came, or another
        worker was lost.
    """
    workers = Workers(config.train.distribute)
    workdir = Workdir(workdir)
    if not workers.is_chief:
        workdir = Workdir(workdir.path / "workers" / str(workers.index))
    with contextlib.ExitStack() as stack:
        stack.enter_context(workers.losses_told())
        with workers.refusing_together():
            stack.enter_context(workdir.locked())
            workdir.claim(config)
        done = workers.agree(workdir.is_finished and not overwrite)
        result = None
        if done and workers.is_chief:
            metrics = workdir.read_metrics()
            result = Result(workdir.path, metrics, pathlib.Path(metrics["export"]), True)
        elif not done:
            result = _train(config, workdir, export_dir, workers)
        # A worker that left before the others are done would count as lost.
        workers.wait()
        return result


def _train(config, workdir, export_dir, workers):
    if workers.agree(workdir.is_finished and workdir.model_file.exists()):
        with workers.refusing_together():
            if not workers.is_chief:
                return None
            model, rollbacks = _read_model(workdir), workdir.read_metrics().get("rollbacks", 0)
            _print_summary(config, workdir, model, workers)
            return _finish(model, config, workdir, _load_splits(config), export_dir, rollbacks)
    checkpoints = Checkpoints(workdir.checkpoints, config.train.keep_checkpoints)
    step, rollbacks = checkpoints.newest()
    source, _ = workers.newest(step)
    rollbacks = int(workers.sum([rollbacks * (workers.index == source)])[0])
    model = _make_model(config, rollbacks, workers)
    splits = None
    # What the chief prepares or decodes and keeps on disk is there for the others.
    with workers.refusing_together():
        if workers.is_chief:
            _print_summary(config, workdir, model, workers)
            if config.train.init_from and not step:
                # Before what may be minutes of reading.
                _initial_weights(model, config.train.init_from)
            splits = _load_splits(config)
    with workers.refusing_together():
        train_split = (splits or _load_splits(config))["train"]
    model, rollbacks = _fit_with_rollbacks(
        model, config, workdir, checkpoints, train_split, rollbacks, workers
    )
    with workers.refusing_together():
        if not workers.is_chief:
            return None
        model = _plain(model, config, rollbacks)
        return _finish(model, config, workdir, splits, export_dir, rollbacks)


def load_run(workdir):
    """The model of a finished run, ready for `encode`, `decode`, `sample` or `fit`.

    For `fit` it is compiled anew, with Adam at the learning rate of the config and no layer fading
    in. (`keras.saving.load_model` on its `model.keras` gives the optimizer as the run left it.)

    Args:
      workdir: the folder of the run.

    Returns:
      An `MMDVLAE`.

    Raises:
      InputError: if there is no finished run there.
    """
    workdir = Workdir(workdir)
    config = workdir.read_config()
    if not workdir.model_file.exists():
        raise InputError(
            f"The run in {workdir.path} has not finished: there is no model.keras. Give the "
            "bin/train command again; it goes on where it stopped."
        )
    model = _read_model(workdir)
    model.fade_in = None
    model.compile(optimizer=FusedAdam(config.train.learning_rate))
    return model


def _read_model(workdir):
    try:
        return keras.saving.load_model(workdir.model_file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{workdir.model_file} cannot be read ({error}); remove metrics.json there and "
            "give the bin/train command again to write it anew."
        ) from error


def draw_run(workdir, data_dir=None):
    """Draws the figures of a finished run again.

    Args:
      workdir: the folder of the run.
      data_dir: the root of the TFDS data sets, if it is not where the run found it.

    Returns:
      The paths of the pictures.

    Raises:
      InputError: if there is no finished run there, its data set can't be had, or another process
        is at work there.
    """
    model = load_run(workdir)
    workdir = Workdir(workdir)
    config = workdir.read_config()
    data = dataclasses.replace(config.data, data_dir=data_dir or config.data.data_dir)
    split = pipeline.load_split(data, config.model.image_shape, "test")
    with workdir.locked():
        return finish.draw(numpy_functions(model), config, workdir, split)


def export_run(workdir, export_dir=None, formats=(), data_dir=None):
    """Exports a finished run again, in the next free version.

    Args:
      workdir: the folder of the run.
      export_dir: the folder of versions for the SavedModel; None for the one that the run wrote to.
      formats: further formats to write into the version's `assets.extra/`: "tflite", "onnx".
      data_dir: the root of the TFDS data sets, if it is not where the run found it; the formats are
        compared on test images.

    Returns:
      The path of the version written.

    Raises:
      InputError: if there is no finished run there, the folder cannot be written, or a format's
        packages are not installed.
    """
    model = load_run(workdir)
    workdir = Workdir(workdir)
    config, metrics, extras = workdir.read_config(), workdir.read_metrics(), None
    export_dir = export_dir or pathlib.Path(metrics["export"]).parent
    directions = samplers = None
    if workdir.directions_file.exists():
        directions = Directions.load(workdir.directions_file)
    else:
        print(f"{workdir.path} has no directions.npz, so the export cannot edit.", flush=True)
    if workdir.samplers_file.exists():
        samplers = Samplers.load(workdir.samplers_file)
    else:
        print(
            f"{workdir.path} has no samplers.npz, so the export has no sample_fitted.", flush=True
        )
    if formats:
        data = dataclasses.replace(config.data, data_dir=data_dir or config.data.data_dir)
        split = pipeline.load_split(data, config.model.image_shape, "test")
        batch = next(iter(pipeline.evaluation_batches(split, _CHECKED_IMAGES)))
        extras = other_formats(formats, model, np.asarray(batch))
    return export(model, export_dir, config.data, directions, metrics, extras, samplers)


def _load_splits(config):
    """Both splits before the first step: what is wrong with one should not show after the last."""
    splits = {
        name: pipeline.load_split(config.data, config.model.image_shape, name)
        for name in ("train", "test")
    }
    size, batch = splits["train"].size, config.train.batch_size
    if size < batch:
        raise InputError(
            f"The training split has {size} images, fewer than a batch of {batch}; give "
            + (f"--batch_size={size} or less." if size > 1 else "more images, at least 2.")
        )
    if splits["test"].size < 2:
        raise InputError(
            f"The test split has {splits['test'].size} images; at least 2 are needed. Give more "
            "images or a larger --config.data.test_fraction."
        )
    return splits


def _make_model(config, rollbacks=0, workers=None):
    train = config.train
    keras.utils.set_random_seed(train.seed)
    layers = len(config.model.latent_dims)
    rate = HoldThenCosine(train.learning_rate / 2**rollbacks, train.steps, train.decay_start)
    with workers.strategy.scope() if workers else contextlib.nullcontext():
        with machine.precision(train.precision):
            model = MMDVLAE(config.model, train.seed, train.fade_in(layers))
        model.compile(
            optimizer=FusedAdam(rate),
            jit_compile=machine.jit_compile(train.xla),
            steps_per_execution=train.steps_per_execution,
        )
    return model


def _plain(model, config, rollbacks):
    """The same weights and optimizer in a model of one device, computing in float32."""
    train = dataclasses.replace(config.train, precision="float32", distribute="none")
    if train == config.train:
        return model
    plain = _make_model(dataclasses.replace(config, train=train), rollbacks)
    plain.optimizer.build(plain.trainable_variables)
    plain.set_weights(model.get_weights())
    # Where losses are scaled, the optimizer that steps is an inner one.
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    for mine, theirs in zip(plain.optimizer.variables, optimizer.variables, strict=True):
        mine.assign(theirs)
    return plain


def _initial_weights(model, workdir):
    """The weights of another run, of the same network."""
    source = load_run(workdir)
    shapes = [tuple(w.shape) for w in model.weights]
    if [tuple(w.shape) for w in source.weights] != shapes:
        raise InputError(
            f"The model in {workdir} is another network (latent_dims {source.config.latent_dims}, "
            f"image_shape {source.config.image_shape}, blocks {source.config.blocks}); "
            "--init_from needs the same one."
        )
    return source.get_weights()


def _print_summary(config, workdir, model, workers):
    devices = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU")
    settings = config.model
    rows = [
        ("data set", config.data.dataset),
        ("workdir", workdir.path),
        ("device", ", ".join(device.name.removeprefix("/physical_device:") for device in devices)),
        *([("workers", f"{workers.count}")] if workers.count > 1 else ()),
        ("image", "x".join(map(str, settings.image_shape))),
        ("latent layers", f"{settings.latent_dims} (lowest first)"),
        ("blocks", " | ".join(" ".join(block) for block in settings.blocks)),
        ("parameters", f"{model.count_params():,}"),
        (
            "reconstruction",
            f"{settings.reconstruction}, weight {settings.effective_reconstruction_weight:g}",
        ),
        (
            "MMD",
            f"{settings.kernel}, {settings.estimator}, {settings.prior}; weights "
            f"{_short(settings.layer_mmd_weights)}, joint {settings.effective_joint_mmd_weight:g}",
        ),
        ("KL weights", _short(settings.layer_kl_weights)),
        (
            "training",
            f"{config.train.steps:,} steps of {config.train.batch_size}, learning rate "
            f"{config.train.learning_rate:g}, {config.train.precision}, seed {config.train.seed}"
            f"{', progressive' if model.fade_in else ''}",
        ),
    ]
    for name, value in rows:
        print(f"  {name:<15}{value}")
    print(flush=True)


def _short(numbers):
    return f"{numbers[0]:g}" if len(set(numbers)) == 1 else ", ".join(f"{n:g}" for n in numbers)


def _restore(model, config, checkpoints, workers):
    """Loads the newest checkpoint that any worker has into every one's model; returns its step."""
    if workers.count == 1:
        with workers.strategy.scope():
            return checkpoints.restore(model)
    own, _ = checkpoints.newest()
    source, step = workers.newest(own)
    with workers.strategy.scope():
        model.optimizer.build(model.trainable_variables)
    if step:
        values = None
        if workers.index == source:
            # To give a variable of several workers a value is a task for all of them together.
            alone = dataclasses.replace(config.train, distribute="none")
            reader = _make_model(dataclasses.replace(config, train=alone))
            checkpoints.restore(reader)
            values = _kept_variables(reader)
        workers.copy(_kept_variables(model), values)
        model.optimizer.iterations.assign(step)
    return step


def _kept_variables(model):
    variables = (*model.weights, *model.optimizer.variables)
    return [variable for variable in variables if str(variable.dtype).startswith("float")]


def _fit_with_rollbacks(model, config, workdir, checkpoints, split, rollbacks, workers):
    train = config.train
    while True:
        start = _restore(model, config, checkpoints, workers)
        if start:
            if workers.is_chief:
                print(f"Resuming from the checkpoint of step {start:,}.", flush=True)
        elif train.init_from:
            model.set_weights(_initial_weights(model, train.init_from))
        try:
            if start < train.steps:
                _fit(model, config, workdir, checkpoints, split, start, rollbacks, workers)
            return model, rollbacks
        except Diverged as error:
            if train.on_divergence == "stop" or rollbacks == _ROLLBACKS:
                raise
            rollbacks += 1
            if workers.is_chief:
                print(
                    f"{str(error).partition('. ')[0]}. Rolling back, {rollbacks} of {_ROLLBACKS} "
                    f"times: learning rate {train.learning_rate / 2**rollbacks:.3g} instead of "
                    f"{2 * train.learning_rate / 2**rollbacks:.3g}.",
                    flush=True,
                )
            model = _make_model(config, rollbacks, workers)


def _fit(model, config, workdir, checkpoints, split, start, rollbacks, workers):
    train = config.train
    if (train.steps - start) % train.steps_per_execution:
        raise InputError(
            f"The checkpoint is of step {start:,}, and {train.steps - start:,} steps are left, "
            f"which train.steps_per_execution={train.steps_per_execution} does not divide; give "
            "one that does, such as --steps_per_execution=1."
        )
    batches = pipeline.training_batches(
        split,
        train.batch_size,
        train.seed,
        start_step=start,
        flip=config.data.flip,
        share=workers.share,
    )
    with StopRequest() as stop:
        callback = RunCallback(
            workdir,
            checkpoints,
            config,
            start,
            stop,
            rollbacks,
            worker=workers.index,
            workers=workers.count,
        )
        # One that took another for the first would stop alone.
        callback.first_loss = workers.of_chief(callback.first_loss)
        model.fit(
            workers.feed(batches),
            steps_per_epoch=train.steps - start,
            shuffle=False,
            verbose=0,
            callbacks=[callback],
        )
    if stop.signal is not None:
        raise TrainingStopped(
            f"Stopped at step {callback.step:,} of {train.steps:,}, which is saved in "
            f"{workdir.checkpoints}. The same command again goes on from there.",
            exit_code=128 + stop.signal,
        )


def _finish(model, config, workdir, splits, export_dir, rollbacks):
    if config.model.normalization == "batch" and config.train.steps < _SETTLED:
        print(
            f"After {config.train.steps} steps the averages of batch normalization still lag "
            f"behind the weights; figures and metrics mean little before some {_SETTLED}.",
            flush=True,
        )
    print("Measuring on the test split ...", flush=True)
    functions = numpy_functions(model)
    history = workdir.read_history()
    measured, directions, samplers = finish.measure(
        functions, config, splits["train"], splits["test"]
    )
    metrics = {
        **measured,
        "steps": config.train.steps,
        "seed": config.train.seed,
        "rollbacks": rollbacks,
        "training_seconds": history[-1]["seconds"] if history else None,
        "parameters": model.count_params(),
        **provenance(),
        "config": config.to_dict(),
    }
    require_space(workdir.path, saved_size(model))
    with replacing(workdir.model_file) as temporary:
        model.save(temporary)
    if directions is not None:
        directions.save(workdir.directions_file)
    samplers.save(workdir.samplers_file)
    print("Drawing the figures ...", flush=True)
    finish.draw(functions, config, workdir, splits["test"])
    exported = export(model, export_dir, config.data, directions, metrics, samplers=samplers)
    # A finished run may be named from another folder than the one it was started in.
    write_json(workdir.metrics_file, {**metrics, "export": str(exported.resolve())})
    return Result(workdir.path, workdir.read_metrics(), exported)
