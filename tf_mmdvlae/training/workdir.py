"""What a run keeps in its folder, and whether that folder is this run's."""

from __future__ import annotations

import contextlib
import json
import logging
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.common.files import (
    locked,
    made_folder,
    parse_json,
    read_json,
    replacing,
    require_folder,
    write_json,
)
from tf_mmdvlae.common.hub import is_on_hub, local_copy
from tf_mmdvlae.common.shapes import misfit
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data.image_folder import require_outside

# These settings may change between two starts of one run: they change neither the images nor their
# labels or order. An image folder may not move, because nothing here could tell it from another
# folder. Files that are added to it do change the order, and that goes unnoticed.
_FREE = {
    "data": ("data_dir", "cache"),
    "train": ("distribute", "keep_checkpoints", "on_divergence", "steps_per_execution", "xla"),
}
_LISTED_DIFFERENCES = 4
_MEASURE_AGAIN = "Remove it and give the same command again."
_ESTIMATE = {"value": (float, None), "standard_error": (float, None)}
_METRICS = {
    "test": {str: _ESTIMATE},
    "test_images": int,
    "probes": {str: {"measure": str, "chance": (float, None), "layers": {str: _ESTIMATE}}},
    "config": {str: dict},
    "versions": {str: str},
    "export": str,
}
_LOGGED = {str: (float, None)}
_ALWAYS_LOGGED = {"step": int, "seconds": float, "loss": float}

_log = logging.getLogger(__name__)


def read_settings(
    path: pathlib.Path | str, advice: str, fields: Mapping[str, Any] | None = None
) -> Config:
    """Reads a `config.json`, of any version; the arguments are those of `read_json`."""
    values = read_json(path, advice, fields)
    try:
        return Config.from_dict(values)
    except InputError as error:
        raise InputError(f"{path} holds no settings of this version: {error} {advice}") from error


def find_workdir(place: pathlib.Path | str) -> Workdir:
    """The folder of a run: `place` itself, or the copy of a run on the Hugging Face Hub.

    Only `config.json` and `model.keras` of a run are on the Hub.
    """
    missing = "run, which bin/publish --workdir adds"
    return Workdir(local_copy(place, "model.keras", ("config.json", "model.keras"), missing))


def with_source(config: Config) -> Config:
    """The settings of a run that begins: what `train.init_from` is now, and its data sets.

    A name on the Hub without a revision gains the commit that it means now, so that all the run's
    starts take the same weights. An `InputError` tells that there is no finished run.
    """
    place = config.train.init_from
    if not place:
        return config.changed(train={"ancestors": ()})
    folder = find_workdir(place)
    source = folder.read_finished_config()
    if is_on_hub(place) and "@" not in place:
        # The cache has a folder for each commit.
        place = f"{place}@{folder.path.name}"
    ancestors = sorted({source.data.dataset, *source.train.ancestors})
    return config.changed(train={"init_from": place, "ancestors": tuple(ancestors)})


class Workdir:
    """The folder of a run.

    It holds `config.json`, `checkpoints/`, `history.jsonl`, `tensorboard/`, `figures/`,
    `directions.npz`, `samplers.npz`, `model.keras`, and `metrics.json`, which is written last; for
    a run with a trunk of its own, `trunk.keras` as it was before training; with `train.stop_after`
    also `best/`, a checkpoint of the best weights.
    The methods raise an `InputError` where a file cannot be read or written.
    """

    def __init__(self, path: pathlib.Path | str):
        self.path = pathlib.Path(path)
        self.config_file = self.path / "config.json"
        self.checkpoints = self.path / "checkpoints"
        self.best = self.path / "best"
        self.history_file = self.path / "history.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.figures = self.path / "figures"
        self.directions_file = self.path / "directions.npz"
        self.samplers_file = self.path / "samplers.npz"
        self.model_file = self.path / "model.keras"
        self.trunk_file = self.path / "trunk.keras"
        self.metrics_file = self.path / "metrics.json"

    @property
    def is_finished(self) -> bool:
        """Whether the run reached its last step and wrote all its results."""
        if not (self.metrics_file.exists() and self.config_file.exists()):
            return self.metrics_file.exists()
        return self.has_results(self.read_config().train.steps)

    def has_results(self, steps: int) -> bool:
        """Whether the folder holds the results of a run of so many steps.

        The results of fewer steps stay until those of a run that goes on replace them.
        """
        if not self.metrics_file.exists():
            return False
        metrics = read_json(self.metrics_file, _MEASURE_AGAIN)
        return metrics.get("planned_steps", metrics.get("steps", steps)) == steps

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes out for the length of a block; refuses where one is at work.

        A folder that is made for it, and in which the block leaves nothing, is removed.
        """
        require_folder(self.path)
        at_work = (
            f"Another process is at work in {self.path}; wait for it, or give another --workdir."
        )
        with made_folder(self.path), locked(self.path / ".lock", at_work):
            # A run that was killed leaves the temporary files of `files.replacing`.
            for path in (*self.path.glob(".[0-9]*"), *self.figures.glob(".[0-9]*")):
                if re.fullmatch(r"\.\d+\..+\.(json|jsonl|keras|npz|png)", path.name):
                    path.unlink(missing_ok=True)
            yield

    def claim(self, config: Config) -> Config:
        """Makes the folder this run's: writes the settings that `admit` returns."""
        config = self.admit(config)
        # A run that is resumed keeps its record.
        if not self.has_begun or self.read_config().train.steps != config.train.steps:
            write_json(self.config_file, config.to_dict())
        return config

    @property
    def has_begun(self) -> bool:
        """Whether the folder holds a checkpoint or results."""
        return self.is_finished or any(self.checkpoints.glob("step_*"))

    def admit(self, config: Config) -> Config:
        """Refuses, with the differences, where the folder is another run's; writes nothing.

        While the folder holds no checkpoint, its settings may change. A run that took all its steps
        may go on with more. Returns the config with the step that the run is `continued_from`, and
        with what `with_source` found when the run began.
        """
        if not self.has_begun:
            require_outside(self.path, config.data)
            return with_source(config)
        if not self.config_file.exists():
            raise InputError(
                f"{self.path} holds a run but no config.json, so that its settings are not known. "
                "Put that file back, empty the folder, or give another --workdir."
            )
        before = self.read_config()
        # What lies in which split stays, whatever rules have come since.
        config = config.changed(data={"listing": before.data.listing})
        config = config.changed(train={"ancestors": before.train.ancestors})
        source = before.train.init_from or ""
        if is_on_hub(source) and config.train.init_from == source.partition("@")[0]:
            config = config.changed(train={"init_from": source})
        if not config.train.continued_from:
            # A run that was stopped while it wrote its results took all its steps, too.
            last = self.checkpoints / f"step_{before.train.steps:08d}.json"
            goes_on = config.train.steps > before.train.steps and last.exists()
            start = before.train.steps if goes_on else before.train.continued_from
            config = config.changed(train={"continued_from": start})
        goes_on = config.train.continued_from == before.train.steps
        if goes_on:
            more = {name: getattr(config.train, name) for name in ("steps", "continued_from")}
            before = before.changed(train=more)
        self._refuse_differences(before.to_dict(), config)
        return config

    def _refuse_differences(self, before, config):
        differences = [
            f"{section}.{name}: {old!r} there, {new!r} now"
            for section, fields in config.to_dict().items()
            for name, new in fields.items()
            if (old := before[section][name]) != new
            # With a cache the images come in another order than without one.
            and (name not in _FREE.get(section, ()) or (name == "cache" and "none" in (old, new)))
        ]
        if differences:
            # Another data set explains the other networks and schedules that come with it.
            differences.sort(key=lambda line: not line.startswith("data.dataset"))
            more = len(differences) - _LISTED_DIFFERENCES
            differences[_LISTED_DIFFERENCES:] = [f"and {more} more"] if more > 0 else []
            raise InputError(
                f"{self.path} holds a run with other settings ({'; '.join(differences)}). "
                "Give the same settings to resume it, or another --workdir."
            )

    def read_config(self) -> Config:
        """Reads the settings of the run in this folder; refuses where there are none."""
        if not self.config_file.exists():
            raise InputError(
                f"{self.path} holds no run: there is no config.json. Give the workdir of bin/train."
            )
        return read_settings(self.config_file, "Give another workdir of bin/train.")

    def read_finished_config(self) -> Config:
        """As `read_config`, but refuses a run that has no finished model."""
        config = self.read_config()
        if not self.model_file.exists():
            raise InputError(
                f"The run in {self.path} has not finished: there is no model.keras. Give the "
                "bin/train command again; it goes on where it stopped."
            )
        return config

    def read_metrics(self) -> dict:
        """Reads `metrics.json`."""
        return read_json(self.metrics_file, _MEASURE_AGAIN, _METRICS)

    def read_history(self) -> list[dict]:
        """Reads the log: one dict per logged step, with the keys "step", "seconds" and "loss".

        A line that is damaged is left out, and the program's log says so.
        """
        if not self.history_file.exists():
            return []
        with explained(f"{self.history_file} cannot be read"):
            text = self.history_file.read_text(encoding="utf-8", errors="replace")
        records = []
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                record = parse_json(line, _LOGGED)
                if reason := misfit(record, _ALWAYS_LOGGED):
                    raise ValueError(reason)
                if record["step"] not in range(2**63):
                    raise ValueError("its step is no step")
                records.append(record)
            except ValueError as error:
                # A killed run may have cut off its last line.
                _log.warning("Line %d of %s is left out: %s.", number, self.history_file, error)
        return records

    def rewind_history(self, step: int) -> list[dict]:
        """Drops what was logged after `step` and returns the rest."""
        records = [record for record in self.read_history() if record["step"] <= step]
        if self.history_file.exists():
            with replacing(self.history_file) as temporary:
                temporary.write_text("".join(json.dumps(record) + "\n" for record in records))
        return records

    def append_history(self, record: dict) -> None:
        """Adds a step to the log."""
        with explained(f"Could not write {self.history_file}"), open(self.history_file, "a") as log:
            log.write(json.dumps(record) + "\n")

    def clear_tensorboard(self) -> None:
        """Removes the curves of a run that had other settings or left no checkpoint."""
        for file in self.tensorboard.glob("events.out.tfevents.*"):
            file.unlink(missing_ok=True)
