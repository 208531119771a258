"""Checkpoints of a run: written whole, verified when read, the newest few kept."""

import hashlib
import json
import math
import pathlib
import re

from absl import logging

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import replacing, require_space, write_json

_BYTES = 4
_OVERHEAD = 2**20


class Checkpoints:
    """The checkpoints in a folder.

    A checkpoint is `step_<step>.weights.h5` (weights, optimizer, step) beside `step_<step>.json`
    (its digest, and how often the run had been rolled back). The second is written last, so that a
    checkpoint without it, or with another digest, is known to be broken.

    Args:
      folder: where they lie; made when the first one is saved.
      keep: how many of the newest stay.
    """

    def __init__(self, folder, keep=2):
        self.folder = pathlib.Path(folder)
        self.keep = keep

    def _weights(self, step):
        return self.folder / f"step_{step:08d}.weights.h5"

    def _record(self, step):
        return self.folder / f"step_{step:08d}.json"

    def steps(self):
        """The steps that have a checkpoint, oldest first, broken ones included."""
        names = (path.name for path in self.folder.glob("step_*.weights.h5"))
        found = (re.fullmatch(r"step_(\d+)\.weights\.h5", name) for name in names)
        return sorted(int(match.group(1)) for match in found if match)

    def save(self, model, step, rollbacks=0):
        """Saves `model` with its optimizer as the checkpoint of `step`, then removes the oldest.

        Args:
          model: a compiled Keras model.
          step: the optimizer's step.
          rollbacks: how often the run went back to a checkpoint before.

        Raises:
          InputError: if the disk is full; the checkpoints before this one stay whole.
        """
        try:
            with replacing(self._weights(step)) as temporary:
                require_space(self.folder, saved_size(model))
                model.save_weights(temporary)
            digest = _digest(self._weights(step))
            write_json(self._record(step), {"step": step, "sha256": digest, "rollbacks": rollbacks})
        except (InputError, RuntimeError) as error:
            self._remove(step)
            whole = self.steps()
            last = (
                f"The checkpoint of step {whole[-1]} is whole" if whole else "There is none before"
            )
            raise InputError(
                f"Could not save the checkpoint of step {step}: {error} {last}; make room and "
                "run the same command again."
            ) from error
        for old in self.steps()[: -self.keep]:
            self._remove(old)

    def _remove(self, step):
        self._record(step).unlink(missing_ok=True)
        self._weights(step).unlink(missing_ok=True)

    def restore(self, model):
        """Loads the newest whole checkpoint into `model` and its optimizer.

        Returns:
          Its step; 0 if there is none.

        Raises:
          InputError: if a checkpoint is there but cannot be read now.
        """
        step, _ = self.newest()
        model.optimizer.build(model.trainable_variables)
        if step:
            model.load_weights(self._weights(step))
        return step

    def newest(self):
        """The newest whole checkpoint. A broken one is named in the log and removed.

        Returns:
          (its step, how often the run had been rolled back); (0, 0) if there is none.

        Raises:
          InputError: if a checkpoint is there but cannot be read now.
        """
        for leftover in self.folder.glob(".*.step_*"):
            leftover.unlink(missing_ok=True)
        for step in reversed(self.steps()):
            if self._is_whole(step):
                record = json.loads(self._record(step).read_text())
                return step, record.get("rollbacks", 0)
            before = "using the one before" if step != self.steps()[0] else "starting again"
            logging.warning(
                "The checkpoint of step %d in %s is broken; %s.", step, self.folder, before
            )
            self._remove(step)
        return 0, 0

    def _is_whole(self, step):
        try:
            record = json.loads(self._record(step).read_text())
            return record["sha256"] == _digest(self._weights(step))
        except (FileNotFoundError, ValueError, KeyError):
            return False
        except OSError as error:
            raise InputError(
                f"The checkpoint of step {step} in {self.folder} cannot be read: {error.strerror}."
            ) from error


def saved_size(model):
    """Bytes that a file of `model`, its optimizer included, takes at most."""
    variables = (*model.variables, *model.optimizer.variables)
    return sum(_BYTES * math.prod(v.shape) for v in variables) + _OVERHEAD


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
