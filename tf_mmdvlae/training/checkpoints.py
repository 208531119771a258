"""Checkpoints of a run: written whole, verified when read, only the newest few kept."""

from __future__ import annotations

import math
import pathlib

import keras
from absl import logging

from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.common.files import digest, read_json, replacing, require_space, write_json

_BYTES = 4
_OVERHEAD = 2**20

ROLLBACKS = 3
"""How often a run may go back to a checkpoint."""


class Checkpoints:
    """The checkpoints in a folder, which the first `save` makes; the newest `keep` stay.

    A checkpoint is `step_<step>.weights.h5` (weights, optimizer, step) beside `step_<step>.json`
    (its digest, and how often the run had been rolled back). The second file is written last, so a
    checkpoint without it, or with another digest, is broken. An `InputError` says where one cannot
    be written or read now; the checkpoints before it stay whole.
    """

    def __init__(self, folder: pathlib.Path | str, keep: int = 2):
        self.folder = pathlib.Path(folder)
        self.keep = keep

    def _files(self, step):
        return [self.folder / f"step_{step:08d}.{ending}" for ending in ("json", "weights.h5")]

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, oldest first, broken ones included."""
        names = (path.name for path in self.folder.glob("step_*.weights.h5"))
        steps = (name.removeprefix("step_").removesuffix(".weights.h5") for name in names)
        return sorted(int(step) for step in steps if step.isdecimal())

    def save(self, model: keras.Model, step: int, rollbacks: int = 0) -> None:
        """Saves `model` with its optimizer as the checkpoint of `step`, then removes the oldest."""
        record, weights = self._files(step)
        try:
            with replacing(weights) as temporary:
                require_space(self.folder, saved_size(model))
                model.save_weights(temporary)
            write_json(record, {"step": step, "sha256": digest(weights), "rollbacks": rollbacks})
        except (InputError, RuntimeError) as error:
            self._remove(step)
            old = self.steps()
            rest = (
                f"The checkpoint of step {old[-1]} is whole"
                if old
                else "There is no earlier checkpoint"
            )
            raise InputError(
                f"Could not save the checkpoint of step {step}: {error} {rest}; make room and run "
                "the same command again."
            ) from error
        for oldest in self.steps()[: -self.keep]:
            self._remove(oldest)

    def _remove(self, step):
        for file in self._files(step):
            file.unlink(missing_ok=True)

    def restore(self, model: keras.Model) -> int:
        """Loads `newest` into `model` and its optimizer; returns its step, 0 if there is none."""
        step, _ = self.newest()
        model.optimizer.build(model.trainable_variables)
        if step:
            model.load_weights(self._files(step)[1])
        return step

    def load(self, model: keras.Model, step: int) -> bool:
        """Loads the checkpoint of `step`; False, and nothing is loaded, if it is not whole."""
        is_whole = self._read_record(step) is not None
        if is_whole:
            model.load_weights(self._files(step)[1])
        return is_whole

    def remove_after(self, step: int) -> None:
        """Removes the checkpoints of later steps, which are of a part of the run that is gone."""
        for later in self.steps():
            if later > step:
                self._remove(later)

    def newest(self) -> tuple[int, int]:
        """Finds the newest whole checkpoint; names a broken one in the log and removes it.

        Returns (its step, how often the run had been rolled back), or (0, 0) if there is none.
        """
        for leftover in self.folder.glob(".*.step_*"):
            leftover.unlink(missing_ok=True)
        steps = self.steps()
        for step in reversed(steps):
            if record := self._read_record(step):
                return step, record.get("rollbacks", 0)
            next_step = "using the one before" if step != steps[0] else "starting again"
            logging.warning(
                f"The checkpoint of step {step} in {self.folder} is broken; {next_step}."
            )
            self._remove(step)
        return 0, 0

    def _read_record(self, step):
        """The record of a checkpoint; None if the checkpoint is broken."""
        file, weights = self._files(step)
        try:
            record = read_json(file, fields={"sha256": str})
        except InputError as error:
            if isinstance(error.__cause__, (FileNotFoundError, ValueError)):
                return None
            raise
        with explained(f"The checkpoint of step {step} in {self.folder} cannot be read"):
            is_whole = weights.exists() and record["sha256"] == digest(weights)
        return record if is_whole and record.get("rollbacks", 0) in range(ROLLBACKS + 1) else None


def saved_size(model: keras.Model) -> int:
    """Bytes that a file of `model`, its optimizer included, takes at most."""
    variables = (*model.variables, *model.optimizer.variables)
    return sum(_BYTES * math.prod(v.shape) for v in variables) + _OVERHEAD
