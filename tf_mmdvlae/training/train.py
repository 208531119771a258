"""Training: the steps between the data and a trained model, and how a run goes on after a stop."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import Diverged, InputError, TrainingStopped
from tf_mmdvlae.common.memory import available_memory
from tf_mmdvlae.config.memory import require_memory
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.model.mmdvlae import MMDVLAE
from tf_mmdvlae.serving.export import check_place
from tf_mmdvlae.training.callbacks import RunCallback, StopRequest
from tf_mmdvlae.training.checkpoints import ROLLBACKS
from tf_mmdvlae.training.finish import Result, finish
from tf_mmdvlae.training.held_out import HeldOut, has_stopped
from tf_mmdvlae.training.run import Run, load_run, read_model


def train(
    config: Config,
    workdir: pathlib.Path | str,
    export_dir: pathlib.Path | str,
    overwrite: bool = False,
    trunk: keras.Model | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> Result | None:
    """Trains a model, or resumes a run that was stopped, and writes all results.

    A finished run goes on where `config` has more steps: its learning rate starts anew, from its
    weights, and no layer fades in again.

    The results are the files of `Workdir` (`directions.npz` only where the data have labels), and
    under `export_dir` a SavedModel in the next version.
    A run that is killed at any moment and started again ends in the same weights, bit for bit, as a
    run that was never interrupted (on a CPU, with the same seed). Its `history.jsonl` has each step
    once; TensorBoard's files cannot be rewound and show the steps after the last checkpoint twice.

    Of several workers (`train.distribute`) the chief writes these results. Each other worker keeps
    checkpoints of its own under `workdir/workers/<index>/` and returns None; a run resumes from the
    newest checkpoint that any worker has.

    Args:
      workdir: the folder of the run; a run with the same config in it is resumed.
      export_dir: the folder of versions for the SavedModel.
      overwrite: True measures, draws and exports a finished run again.
      trunk: as in `MMDVLAE`. The run trains a copy and keeps the trunk, as it was given, in
        `trunk.keras`: whoever resumes the run, the commands too, need not give it again. Not for
        several workers. Dropout in a trunk draws anew after a resume.
      callbacks: what Keras calls besides, in the chief alone. To it a run is one epoch, a batch a
        step; `model.optimizer.iterations` counts the steps of earlier starts too. The logs are
        means since the run last logged, beside the last measured "val_reconstruction" and
        "train_reconstruction". One that sets `model.stop_training` stops the run as Ctrl-C does.

    Raises:
      InputError: for a config, folder or data set that cannot be used.
      TrainingStopped: if the loss is not finite or runs away, SIGTERM or Ctrl-C came, or another
        worker was lost.
    """
    # A GPU has memory of its own, of which TensorFlow does not tell.
    if not tf.config.list_physical_devices("GPU"):
        require_memory(config, available_memory())
    run = Run(config, workdir, trunk)
    with contextlib.ExitStack() as stack:
        stack.enter_context(run.workers.stop_on_lost_worker())
        with run.workers.refuse_together():
            if run.workers.is_chief:
                check_place(export_dir, config.model.image_shape, config.data)
            stack.enter_context(run.workdir.locked())
            if run.workers.is_chief:
                run.config = run.workdir.admit(config)
        with run.workers.refuse_together():
            start = run.workers.broadcast([run.config.train.continued_from])[0]
            if not run.workers.is_chief:
                run.config = config.changed(train={"continued_from": int(start)})
                run.config = run.workdir.admit(run.config)
            run.admit_trunk()
        result = None
        has_results = run.workdir.has_results(run.config.train.steps)
        if not run.workers.any(has_results and not overwrite):
            result = _train(run, export_dir, callbacks)
        elif run.workers.is_chief:
            metrics = run.workdir.read_metrics()
            result = Result(run.workdir.path, metrics, pathlib.Path(metrics["export"]), True)
        # A worker that left before the others are done would count as lost.
        run.workers.wait()
        return result


def _train(
    run: Run, export_dir: pathlib.Path | str, callbacks: Sequence[keras.callbacks.Callback]
) -> Result | None:
    workers, workdir = run.workers, run.workdir
    has_results = workdir.has_results(run.config.train.steps)
    if workers.any(has_results and workdir.model_file.exists()):
        with workers.refuse_together():
            if not workers.is_chief:
                return None
            model = read_model(workdir)
            run.rollbacks = workdir.read_metrics().get("rollbacks", 0)
            _print_summary(run, model)
            run.load_splits()
            return finish(run, model, export_dir)
    step, rollbacks = run.checkpoints.newest()
    source, _ = workers.newest(step)
    run.rollbacks = int(workers.broadcast([rollbacks], source)[0])
    model = run.make_model()
    # The chief loads first, so that the others find what it prepares or caches on disk.
    with workers.refuse_together():
        if workers.is_chief:
            _print_summary(run, model)
            if run.config.train.init_from and not step:
                # Loading the data may take minutes, so the faults of this setting come first.
                _initial_weights(model, run.config.train.init_from)
            run.load_splits()
            _print_epochs(run)
    with workers.refuse_together():
        if not workers.is_chief:
            run.load_splits()
    with workers.refuse_together():
        # Nothing is written before everything that can be checked has been.
        workdir.claim(run.config)
        run.keep_trunk()
    model = _fit_with_rollbacks(run, model, callbacks)
    with workers.refuse_together():
        if not workers.is_chief:
            return None
        run.restore_best(model)
        return finish(run, run.single_device_model(model), export_dir)


def _initial_weights(model: MMDVLAE, folder: str) -> list[np.ndarray]:
    """The weights of another run, which must have the same network."""
    source = load_run(folder)
    if [tuple(w.shape) for w in source.weights] != [tuple(w.shape) for w in model.weights]:
        raise InputError(
            f"The model in {folder} is another network (latent_dims {source.config.latent_dims}, "
            f"image_shape {source.config.image_shape}, blocks {source.config.blocks}); "
            "--init_from needs the same one; --image_size, --channels and --latent_dims choose it."
        )
    return source.get_weights()


def _fit_with_rollbacks(
    run: Run, model: MMDVLAE, callbacks: Sequence[keras.callbacks.Callback]
) -> MMDVLAE:
    train = run.config.train
    while True:
        start = run.restore(model)
        if start:
            if run.workers.is_chief:
                print(_beginning(start, train), flush=True)
        elif train.init_from:
            model.set_weights(_initial_weights(model, train.init_from))
        try:
            reached = [one for one in run.workdir.read_history() if one["step"] <= start]
            if start < train.steps and not has_stopped(reached, run.config):
                _fit(run, model, start, callbacks)
            return model
        except Diverged as error:
            if train.on_divergence == "stop" or run.rollbacks == ROLLBACKS:
                raise
            run.rollbacks += 1
            if run.workers.is_chief:
                rate = train.learning_rate / 2**run.rollbacks
                print(
                    f"{str(error).partition('. ')[0]}. Rolling back, {run.rollbacks} of "
                    f"{ROLLBACKS} times: learning rate {rate:.3g} instead of {2 * rate:.3g}.",
                    flush=True,
                )
            model = run.make_model()


def _beginning(start, train):
    if start == train.continued_from:
        return (
            f"The run of {start:,} steps goes on to {train.steps:,}: the learning rate starts "
            "anew, and no layer fades in again."
        )
    return f"Resuming from the checkpoint of step {start:,}."


def _fit(
    run: Run, model: MMDVLAE, start: int, callbacks: Sequence[keras.callbacks.Callback]
) -> None:
    data, train, split = run.config.data, run.config.train, run.splits["train"]
    steps = train.steps - start
    if steps % train.steps_per_execution:
        raise InputError(
            f"The checkpoint is of step {start:,}, and {steps:,} steps are left, "
            f"which train.steps_per_execution={train.steps_per_execution} does not divide; give "
            "one that does, such as --steps_per_execution=1."
        )
    batches = pipeline.training_batches(
        split, train.batch_size, train.seed, start, flip=data.flip, share=run.workers.share
    )
    images = run.workers.feed(batches)
    with StopRequest() as stop:
        held_out = None
        if run.workers.is_chief:
            held_out = HeldOut(run.config, split, run.splits["held_out"])
        callback = RunCallback(run, start, stop, held_out)
        try:
            with pipeline.explained_stream(split):
                model.fit(
                    images,
                    steps_per_epoch=steps,
                    shuffle=False,
                    verbose=0,
                    callbacks=[callback, *(callbacks if run.workers.is_chief else ())],
                )
        except InputError as error:
            if error is not getattr(split.stream, "failure", None):
                raise
            raise InputError(
                f"{error} The run stopped after step {callback.step:,}, and step "
                f"{callback.keep():,} is saved; the same command goes on from there."
            ) from error
    by_callback = callback.step < train.steps and not has_stopped(callback.history, run.config)
    if stop.signal is not None or by_callback:
        callback.save()
        raise TrainingStopped(
            f"Stopped at step {callback.step:,} of {train.steps:,}, which is saved in "
            f"{run.workdir.checkpoints}. The same command again goes on from there.",
            exit_code=1 if stop.signal is None else 128 + stop.signal,
        )


def _print_epochs(run: Run) -> None:
    train, size = run.config.train, run.splits["train"].size
    epochs = train.steps * train.batch_size / size
    print(
        f"{train.steps:,} steps of {train.batch_size}: {epochs:,.1f} epochs of {size:,} training "
        "images.",
        flush=True,
    )


def _print_summary(run: Run, model: MMDVLAE) -> None:
    devices = tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU")
    settings, train = run.config.model, run.config.train
    encoder = ""
    if model.trunk is not None:
        weights = model.trunk.count_params()
        encoder = f" (decoder; encoder {model.trunk.name}, {weights:,} parameters)"
    rows = {
        "data set": run.config.data.dataset,
        "workdir": run.workdir.path,
        "device": ", ".join(device.name.removeprefix("/physical_device:") for device in devices),
        "workers": run.workers.count,
        "image": "x".join(map(str, settings.image_shape)),
        "latent layers": f"{settings.latent_dims} (lowest first)",
        "blocks": " | ".join(" ".join(block) for block in settings.blocks) + encoder,
        "parameters": f"{model.count_params():,}",
        "reconstruction": f"{settings.reconstruction}, "
        f"weight {settings.effective_reconstruction_weight:g}",
        "MMD": f"{settings.kernel}, {settings.estimator}, {settings.prior}; weights "
        f"{_short(settings.layer_mmd_weights)}, joint {settings.effective_joint_mmd_weight:g}",
        "KL weights": _short(settings.layer_kl_weights),
        "training": f"{train.steps:,} steps of {train.batch_size}, learning rate "
        f"{train.learning_rate:g}, {train.precision}, seed {train.seed}"
        f"{', progressive' if model.fade_in else ''}",
    }
    if run.workers.count == 1:
        del rows["workers"]
    for name, value in rows.items():
        print(f"  {name:<15}{value}")
    print(flush=True)


def _short(numbers: tuple[float, ...]) -> str:
    return f"{numbers[0]:g}" if len(set(numbers)) == 1 else ", ".join(f"{n:g}" for n in numbers)
