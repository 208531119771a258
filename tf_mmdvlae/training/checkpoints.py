"""Checkpoints of a run: written whole, verified when read, only the newest few kept."""

from __future__ import annotations

import json
import math
import pathlib

import keras
from absl import logging

from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.common.files import digest, replacing, require_space, write_json

_BYTES = 4
_OVERHEAD = 2**20


class Checkpoints:
    """The checkpoints in a folder.

    A checkpoint is `step_<step>.weights.h5` (weights, optimizer, step) beside `step_<step>.json`
    (its digest, and how often the run had been rolled back). The second file is written last, so a
    checkpoint without it, or with another digest, is broken.

    Args:
      folder: the folder, which the first `save` makes.
      keep: how many of the newest checkpoints stay.
    """

    def __init__(self, folder: pathlib.Path | str, keep: int = 2):
        self.folder = pathlib.Path(folder)
        self.keep = keep

    def _weights(self, step):
        return self.folder / f"step_{step:08d}.weights.h5"

    def _record(self, step):
        return self.folder / f"step_{step:08d}.json"

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first, broken ones included."""
        names = (path.name for path in self.folder.glob("step_*.weights.h5"))
        steps = (name.removeprefix("step_").removesuffix(".weights.h5") for name in names)
        return sorted(int(step) for step in steps if step.isdigit())

    def save(self, model: keras.Model, step: int, rollbacks: int = 0) -> None:
        """Saves `model` with its optimizer as the checkpoint of `step`, then removes the oldest.

        Raises:
          InputError: if the disk is full; the checkpoints before this one stay whole.
        """
        try:
            with replacing(self._weights(step)) as temporary:
                require_space(self.folder, saved_size(model))
                model.save_weights(temporary)
            record = {"step": step, "sha256": digest(self._weights(step)), "rollbacks": rollbacks}
            write_json(self._record(step), record)
        except (InputError, RuntimeError) as error:
            self._remove(step)
            whole = [f"The checkpoint of step {last} is whole" for last in self.steps()[-1:]]
            raise InputError(
                f"Could not save the checkpoint of step {step}: {error} "
                f"{''.join(whole) or 'There is none before'}; make room and run the same command "
                "again."
            ) from error
        for old in self.steps()[: -self.keep]:
            self._remove(old)

    def _remove(self, step):
        self._record(step).unlink(missing_ok=True)
        self._weights(step).unlink(missing_ok=True)

    def restore(self, model: keras.Model) -> int:
        """Loads `newest` into `model` and its optimizer; returns its step, 0 if there is none."""
        step, _ = self.newest()
        model.optimizer.build(model.trainable_variables)
        if step:
            model.load_weights(self._weights(step))
        return step

    def newest(self) -> tuple[int, int]:
        """Finds the newest whole checkpoint; names a broken one in the log and removes it.

        Returns:
          (its step, how often the run had been rolled back); (0, 0) if there is none.

        Raises:
          InputError: if a checkpoint is there but cannot be read now.
        """
        for leftover in self.folder.glob(".*.step_*"):
            leftover.unlink(missing_ok=True)
        steps = self.steps()
        for step in reversed(steps):
            if record := self._read_record(step):
                return step, record.get("rollbacks", 0)
            before = "using the one before" if step != steps[0] else "starting again"
            logging.warning(
                "The checkpoint of step %d in %s is broken; %s.", step, self.folder, before
            )
            self._remove(step)
        return 0, 0

    def _read_record(self, step):
        """The record of a checkpoint; None if the checkpoint is broken."""
        with explained(f"The checkpoint of step {step} in {self.folder} cannot be read"):
            try:
                record = json.loads(self._record(step).read_text())
                return record if record["sha256"] == digest(self._weights(step)) else None
            except (FileNotFoundError, ValueError, KeyError):
                return None


def saved_size(model: keras.Model) -> int:
    """Bytes that a file of `model`, its optimizer included, takes at most."""
    variables = (*model.variables, *model.optimizer.variables)
    return sum(_BYTES * math.prod(v.shape) for v in variables) + _OVERHEAD
