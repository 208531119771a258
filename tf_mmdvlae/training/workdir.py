"""What a run keeps in its folder, and whether that folder is this run's."""

import contextlib
import fcntl
import json
import pathlib

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import make_folder, replacing, write_json
from tf_mmdvlae.config.settings import Config

# What does not change the images, their labels or their order may change between two starts of one
# run. An image folder may not move, for nothing here could tell it from another folder; nor is it
# seen when files are added to it, which does change the order.
_MAY_CHANGE = (
    "data.data_dir",
    "data.cache",
    "train.distribute",
    "train.keep_checkpoints",
    "train.on_divergence",
    "train.steps_per_execution",
    "train.xla",
)
_MOST_TOLD = 4


class Workdir:
    """The folder of a run: `config.json`, `checkpoints/`, `history.jsonl`, `tensorboard/`,
    `figures/`, `directions.npz`, `samplers.npz`, `model.keras`, and `metrics.json`, which is
    written last.

    Args:
      path: the folder.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.config_file = self.path / "config.json"
        self.checkpoints = self.path / "checkpoints"
        self.history_file = self.path / "history.jsonl"
        self.tensorboard = self.path / "tensorboard"
        self.figures = self.path / "figures"
        self.directions_file = self.path / "directions.npz"
        self.samplers_file = self.path / "samplers.npz"
        self.model_file = self.path / "model.keras"
        self.metrics_file = self.path / "metrics.json"

    @property
    def is_finished(self):
        """Whether the run reached its last step and wrote all that it writes."""
        return self.metrics_file.exists()

    @contextlib.contextmanager
    def locked(self):
        """Keeps other processes from running in the same folder for the length of a block.

        Raises:
          InputError: if the folder cannot be written, or another process is at work in it.
        """
        make_folder(self.path)
        with open(self.path / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"Another process is at work in {self.path}; wait for it, or give another "
                    "--workdir."
                ) from None
            self._remove_leftovers()
            yield

    def _remove_leftovers(self):
        """Removes the temporary files (see `files.replacing`) of a run that was killed."""
        ours = (self.config_file, self.history_file, self.model_file, self.metrics_file)
        fitted = (self.directions_file, self.samplers_file)
        for path in (*ours, *fitted, self.figures / "*.png"):
            for leftover in path.parent.glob(f".[0-9]*.{path.name}"):
                leftover.unlink(missing_ok=True)

    def claim(self, config):
        """Makes the folder this run's. One that holds no checkpoint yet may get other settings.

        Raises:
          InputError: if it holds a run with other settings (the message shows the difference), or
            one whose settings are lost.
        """
        begun = self.is_finished or any(self.checkpoints.glob("step_*"))
        if not begun:
            write_json(self.config_file, config.to_dict())
            return
        if not self.config_file.exists():
            raise InputError(
                f"{self.path} holds a run but no config.json, so that its settings are not known. "
                "Put that file back, empty the folder, or give another --workdir."
            )
        other = self.read_config()
        differences = [
            f"{name}: {old!r} there, {new!r} now"
            for name, old, new in _differences(other.to_dict(), config.to_dict())
            if name not in _MAY_CHANGE or (name == "data.cache" and "none" in (old, new))
        ]
        if differences:
            # Another data set has other networks and schedules too, which say nothing more.
            differences.sort(key=lambda said: not said.startswith("data.dataset"))
            more = len(differences) - _MOST_TOLD
            differences[_MOST_TOLD:] = [f"and {more} more"] if more > 0 else []
            raise InputError(
                f"{self.path} holds a run with other settings ({'; '.join(differences)}). "
                "Give the same settings to resume it, or another --workdir."
            )

    def read_config(self):
        """The `Config` of the run in this folder.

        Raises:
          InputError: if there is none, or it cannot be read.
        """
        try:
            values = json.loads(self.config_file.read_text())
        except FileNotFoundError:
            raise InputError(
                f"{self.path} holds no run: there is no config.json. Give the workdir of bin/train."
            ) from None
        except (OSError, ValueError) as error:
            raise InputError(f"{self.config_file} cannot be read: {error}") from None
        return Config.from_dict(values)

    def read_metrics(self):
        """The contents of `metrics.json`.

        Raises:
          InputError: if it cannot be read.
        """
        try:
            return json.loads(self.metrics_file.read_text())
        except (OSError, ValueError) as error:
            raise InputError(
                f"{self.metrics_file} cannot be read ({error}); remove it and give the same "
                "command again."
            ) from error

    def read_history(self, until=None):
        """The run's log: a list of dicts, one a logged step, "step" among their keys.

        Args:
          until: the last step wanted; None for all.
        """
        if not self.history_file.exists():
            return []
        records = []
        for line in self.history_file.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except ValueError:
                # The line that a killed run was writing.
                break
        return [record for record in records if until is None or record["step"] <= until]

    def rewind_history(self, step):
        """Drops what was logged after `step` and returns the rest."""
        records = self.read_history(step)
        if self.history_file.exists():
            with replacing(self.history_file) as temporary:
                temporary.write_text("".join(json.dumps(record) + "\n" for record in records))
        return records

    def clear_tensorboard(self):
        """Removes the curves of a run that had other settings or left no checkpoint."""
        for file in self.tensorboard.glob("events.out.tfevents.*"):
            file.unlink(missing_ok=True)

    def append_history(self, record):
        """Adds a dict to the log."""
        try:
            with open(self.history_file, "a") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise InputError(
                f"Could not write {self.history_file}: {error.strerror or error}."
            ) from error


def _differences(old, new, prefix=""):
    for key in new:
        name = f"{prefix}{key}"
        before, after = old.get(key), new[key]
        if isinstance(after, dict):
            yield from _differences(before or {}, after, f"{name}.")
        elif before != after:
            yield name, before, after
