"""What happens between the steps of a run."""

import contextlib
import math
import re
import signal
import threading
import time

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import Diverged, InputError, TrainingStopped
from tf_mmdvlae.common.progress import Progress

# However long a run is.
_PICTURES = 10
_LOGGED_STEPS = 2_000
# A loss that many times that of the first steps is no bad batch.
_RUNAWAY = 10.0


class StopRequest:
    """Remembers that SIGTERM or Ctrl-C came, so that a run can stop between two steps.

    A context manager; a second Ctrl-C inside it interrupts at once.
    """

    def __init__(self):
        self.signal = None

    def __enter__(self):
        self._previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def _note(self, number, frame):
        del frame
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)


class RunCallback(keras.callbacks.Callback):
    """Logs, checkpoints, watches for a loss that is not finite, and stops when asked.

    Args:
      workdir: the run's `Workdir`.
      checkpoints: the run's `Checkpoints`.
      config: the run's `Config`.
      start: the step that training starts from.
      stop_request: a `StopRequest`.
      rollbacks: how often the run went back to a checkpoint before.
      worker, workers: which of how many workers this process is. Only worker 0 logs, draws and
        tells; the others write checkpoints. One of several can't ask the others to stop with it,
        so a request ends it at once.
    """

    def __init__(
        self,
        workdir,
        checkpoints,
        config,
        start,
        stop_request,
        rollbacks=0,
        worker=0,
        workers=1,
    ):
        super().__init__()
        self.workdir = workdir
        self.checkpoints = checkpoints
        self.config = config
        self.start = self.step = self.saved = start
        self.rollbacks = rollbacks
        self.worker, self.workers = worker, workers
        self.stop_request = stop_request
        steps = config.train.steps
        self.progress = Progress(steps, "steps", config.train.batch_size)
        self.pictures_every = max(config.train.checkpoint_every, steps // _PICTURES)
        self.log_every = max(config.train.log_every, steps // _LOGGED_STEPS)
        history = workdir.rewind_history(start)
        self.seconds_before = history[-1]["seconds"] if history else 0.0
        self.first_loss = history[0]["loss"] if history else None
        self.details = ""

    def on_train_begin(self, logs=None):
        self.began = time.monotonic()
        if self.worker:
            return
        with self._writing():
            if self.step == 0:
                self.workdir.clear_tensorboard()
            self.writer = tf.summary.create_file_writer(str(self.workdir.tensorboard))

    def on_train_batch_end(self, batch, logs=None):
        train = self.config.train
        before, self.step = self.step, self.start + batch + 1
        last = self.step == train.steps

        def due(every):
            return self.step // every > before // every

        self._check_finite(logs)
        if due(self.log_every) or last:
            self._log({name: float(value) for name, value in logs.items()})
            self.model.reset_metrics()
        if not self.worker:
            self.progress.update(self.step, self.details)
            if due(self.pictures_every):
                self._draw()
        if due(train.checkpoint_every) or last:
            self._save()
        if self.stop_request.signal is not None:
            self._check_alone()
            if self.saved != self.step:
                self._save()
            self.model.stop_training = True

    def _check_alone(self):
        if self.workers > 1:
            self.progress.close()
            raise TrainingStopped(
                f"Worker {self.worker} of {self.workers} stopped at step {self.step:,}, and the "
                "others with it. Start all of them again with the same command; the run goes on "
                "from the newest checkpoint.",
                exit_code=128 + self.stop_request.signal,
            )

    def on_train_end(self, logs=None):
        if self.worker:
            return
        self.progress.close()
        with self._writing():
            self.writer.close()

    @contextlib.contextmanager
    def _writing(self):
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            self.progress.close()
            # TensorFlow puts the names of its nodes and operations around it.
            reason = re.sub(r"\{\{.*?\}\} *| *\[Op:.*", "", str(error).partition("\n")[0])
            raise InputError(
                f"Could not write to {self.workdir.tensorboard}: {reason}. Make room there and run "
                "the same command again."
            ) from error

    def _check_finite(self, logs):
        if math.isfinite(float(logs["loss"])):
            return
        terms = [n for n, v in logs.items() if n != "loss" and not math.isfinite(float(v))]
        self._diverge("The loss is not finite", f"{', '.join(terms) or 'their sum'}")

    def _check_runaway(self, values):
        if self.first_loss is None:
            self.first_loss = values["loss"]
        # Near zero a factor means nothing.
        if values["loss"] > _RUNAWAY * max(self.first_loss, 1.0):
            terms = sorted((value, name) for name, value in values.items() if name != "loss")
            self._diverge(
                f"The loss, {values['loss']:.3g}, is over {_RUNAWAY:g} times that of the first "
                f"steps, {self.first_loss:.3g},",
                ", ".join(f"{name} {value:.3g}" for value, name in reversed(terms[-3:])),
            )

    def _diverge(self, what, where):
        whole = self.checkpoints.steps()
        good = (
            f"The last good checkpoint is step {whole[-1]} in {self.checkpoints.folder}."
            if whole
            else "There was no checkpoint yet."
        )
        self.progress.close()
        rollback = "--on_divergence=rollback, " if self.config.train.on_divergence == "stop" else ""
        raise Diverged(
            f"{what} at step {self.step}: {where}. {good} Try {rollback}a lower "
            "--config.train.learning_rate or lower weights in another --workdir."
        )

    def _log(self, values):
        self._check_runaway(values)
        if self.worker:
            return
        layers = range(1, len(self.config.model.latent_dims) + 1)
        penalties = " ".join(f"{values[f'mmd_{layer}']:.4f}" for layer in layers)
        self.details = f"reconstruction {values['reconstruction']:.4f}  MMD^2 by layer {penalties}"
        seconds = self.seconds_before + time.monotonic() - self.began
        self.workdir.append_history({"step": self.step, "seconds": round(seconds, 1), **values})
        # TensorFlow keeps every Python number that it was ever given.
        with self._writing(), self.writer.as_default(step=np.int64(self.step)):
            for name, value in values.items():
                tf.summary.scalar(name, np.float32(value))

    def _draw(self):
        samples = np.asarray(self.model.sample(16))
        with self._writing(), self.writer.as_default(step=self.step):
            tf.summary.image("samples", samples, max_outputs=16)

    def _save(self):
        # The loss is that of the weights before this step's update, so it can't vouch for them.
        broken = [w.path for w in self.model.weights if not np.isfinite(np.asarray(w)).all()]
        if broken:
            self._diverge("A weight is not finite", broken[0])
        self.checkpoints.save(self.model, self.step, self.rollbacks)
        self.saved = self.step
