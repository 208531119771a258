"""What happens between the steps of a run."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import Diverged, InputError, TrainingStopped, first_line
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.common.stopping import stopping_signals
from tf_mmdvlae.training.finish import finishing_seconds
from tf_mmdvlae.training.held_out import HeldOut, has_stopped, standing
from tf_mmdvlae.training.run import Run

# The most rows of samples in TensorBoard, and lines in the logs, however long a run is.
_PICTURES = 10
_LOGGED_STEPS = 2_000
# A loss this many times that of the first steps is more than one bad batch.
_RUNAWAY = 10.0


class StopRequest(contextlib.ExitStack):
    """Remembers that one of `stopping_signals` came, so that a run can stop between two steps.

    A second one in its block interrupts at once. `signal` is the first one's number, None before.
    """

    signal: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        # Python lets the main thread alone set handlers.
        if threading.current_thread() is threading.main_thread():
            for number in stopping_signals():
                self._before[number] = signal.signal(number, self._note)
                self.callback(signal.signal, number, self._before[number])
        return self

    def _note(self, number, frame):
        if self.signal is None:
            self.signal = number
        elif callable(self._before[number]):
            # A command's own, which remembers what TensorFlow may turn into another exception.
            self._before[number](number, frame)
        else:
            raise KeyboardInterrupt


class RunCallback(keras.callbacks.Callback):
    """Logs, saves checkpoints, watches the loss, and stops the training when asked.

    Of several workers only the chief logs and draws; the others save checkpoints alone. A worker
    cannot ask the others to stop with it, so a request to stop ends that worker at once. Every
    worker must make a callback; `held_out` is the chief's. Training begins after the step `start`;
    the attribute `step` is the last one taken.
    """

    def __init__(
        self, run: Run, start: int, stop_request: StopRequest, held_out: HeldOut | None = None
    ):
        super().__init__()
        self.run = run
        self.start = self.step = self.saved = start
        self.stop_request = stop_request
        self.held_out = held_out
        self.errors: dict[str, float] = {}
        self.measure_every = math.inf
        train = run.config.train
        sizes = {name: split.size for name, split in run.splits.items()}
        self.progress = Progress(
            *(train.steps, "steps", train.batch_size),
            later=lambda rate: finishing_seconds(run.config, sizes, rate),
        )
        self.pictures_every = max(train.checkpoint_every, train.steps // _PICTURES)
        self.log_every = max(train.log_every, train.steps // _LOGGED_STEPS)
        if held_out:
            self.measure_every = math.ceil(held_out.every / self.log_every) * self.log_every
        self.history = history = run.workdir.rewind_history(start)
        self.seconds_before = history[-1]["seconds"] if history else 0.0
        # All workers must compare with the same first loss, or one could stop alone.
        first_loss = history[0]["loss"] if history else math.nan
        self.first_loss = float(run.workers.broadcast([first_loss])[0])
        self.details = ""

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.began = time.monotonic()
        if not self.run.workers.is_chief:
            return
        if self.run.config.train.stop_after:
            self.run.best.remove_after(self.start)
            if 0 < self.start == standing(self.history, self.run.config)[0]:
                # A process that was killed between the two files left the checkpoint alone.
                self._save_best()
        with self._writing():
            if self.step == 0:
                self.run.workdir.clear_tensorboard()
            self.writer = tf.summary.create_file_writer(str(self.run.workdir.tensorboard))

    def on_train_batch_end(self, batch: int, logs: dict) -> None:
        train = self.run.config.train
        before, self.step = self.step, self.start + batch + 1
        last = self.step == train.steps

        def due(every):
            return self.step // every > before // every

        if not math.isfinite(float(logs["loss"])):
            terms = [n for n, v in logs.items() if n != "loss" and not math.isfinite(float(v))]
            self._diverge("The loss is not finite", ", ".join(terms) or "their sum")
        if due(self.log_every) or last:
            values = {name: float(value) for name, value in logs.items()}
            is_measured = due(self.measure_every) or last
            self._log(values, is_measured)
            self.model.reset_metrics()
            if self.held_out and is_measured and train.stop_after:
                self._judge()
        # Callbacks of one's own see these logs, perhaps every hundredth step only.
        logs.update(self.errors)
        if self.run.workers.is_chief:
            self.progress.update(self.step, self.details)
            if due(self.pictures_every):
                self._draw()
        if due(train.checkpoint_every) or last:
            self.save()
        if self.stop_request.signal is not None:
            self._stop()

    def _stop(self):
        workers = self.run.workers
        if workers.count > 1:
            self.progress.close()
            raise TrainingStopped(
                f"Worker {workers.index} of {workers.count} stopped at step {self.step:,}, and the "
                "others with it. Start all of them again with the same command; the run goes on "
                "from the newest checkpoint.",
                exit_code=128 + self.stop_request.signal,
            )
        self.save()
        self.model.stop_training = True

    def _judge(self):
        """Keeps the weights if they are the best so far; ends a run that got no better."""
        if standing(self.history, self.run.config)[0] == self.step:
            # A run that is resumed is never older than the best weights.
            self.save()
            self._save_best()
        elif has_stopped(self.history, self.run.config):
            self.save()
            self.model.stop_training = True

    def _save_best(self):
        self.run.best.save(self.model, self.step, self.run.rollbacks)

    def keep(self) -> int:
        """Saves the last whole step of a run that lacks the images of the next; returns the step.

        Of several steps without a return to Python some may have been taken, and then the last
        checkpoint stays.
        """
        self.progress.close()
        if self.saved != self.step and self.run.config.train.steps_per_execution == 1:
            # The step that failed changed nothing but the count of steps, which needs no images.
            self.model.optimizer.iterations.assign(self.step)
            self.save()
        return self.saved

    def on_train_end(self, logs: dict | None = None) -> None:
        if not self.run.workers.is_chief:
            return
        self.progress.close()
        with self._writing():
            self.writer.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            self.progress.close()
            raise InputError(
                f"Could not write to {self.run.workdir.tensorboard}: {first_line(error)}. Make "
                "room there and run the same command again."
            ) from error

    def _check_runaway(self, values):
        if math.isnan(self.first_loss):
            self.first_loss = values["loss"]
        # A multiple of a loss near zero means nothing.
        if values["loss"] > _RUNAWAY * max(self.first_loss, 1.0):
            terms = sorted((value, name) for name, value in values.items() if name != "loss")
            self._diverge(
                f"The loss, {values['loss']:.3g}, is over {_RUNAWAY:g} times that of the first "
                f"steps, {self.first_loss:.3g},",
                ", ".join(f"{name} {value:.3g}" for value, name in reversed(terms[-3:])),
            )

    def _diverge(self, what, where):
        self.progress.close()
        good = "There was no checkpoint yet."
        for step in self.run.checkpoints.steps()[-1:]:
            good = f"The last good checkpoint is step {step} in {self.run.checkpoints.folder}."
        can_roll_back = self.run.config.train.on_divergence == "stop"
        rollback = "--on_divergence=rollback, " if can_roll_back else ""
        raise Diverged(
            f"{what} at step {self.step}: {where}. {good} Try {rollback}a lower "
            "--config.train.learning_rate or lower weights in another --workdir."
        )

    def _log(self, values, is_measured):
        self._check_runaway(values)
        if not self.run.workers.is_chief:
            return
        layers = range(1, len(self.run.config.model.latent_dims) + 1)
        penalties = " ".join(f"{values[f'mmd_{layer}']:.4f}" for layer in layers)
        if self.held_out and is_measured:
            self.errors = self.held_out.measure(self.model, self.step)
            values |= self.errors
        measured = ""
        if self.errors:
            measured = ", {val_reconstruction:.4f} on held-out images".format(**self.errors)
            measured += " ({train_reconstruction:.4f} on training images)".format(**self.errors)
        self.details = (
            f"reconstruction {values['reconstruction']:.4f}{measured}  MMD^2 by layer {penalties}"
        )
        seconds = round(self.seconds_before + time.monotonic() - self.began, 1)
        self.history.append({"step": self.step, "seconds": seconds, **values})
        if self.held_out and is_measured and self.run.config.train.stop_after:
            self.history[-1]["best_step"] = standing(self.history, self.run.config)[0]
        self.run.workdir.append_history(self.history[-1])
        # TensorFlow keeps every Python number that it was ever given, hence NumPy's.
        with self._writing(), self.writer.as_default(step=np.int64(self.step)):
            for name, value in values.items():
                tf.summary.scalar(name, np.float32(value))

    def _draw(self):
        samples = np.asarray(self.model.sample(16))
        with self._writing(), self.writer.as_default(step=self.step):
            tf.summary.image("samples", samples, max_outputs=16)

    def save(self) -> None:
        """Saves a checkpoint of the last step, if there is none yet."""
        if self.saved == self.step:
            return
        # The loss is that of the weights before this step's update.
        broken = [w.path for w in self.model.weights if not np.isfinite(np.asarray(w)).all()]
        if broken:
            self._diverge("A weight is not finite", broken[0])
        self.run.checkpoints.save(self.model, self.step, self.run.rollbacks)
        self.saved = self.step
