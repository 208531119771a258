"""The commands that write, on the smallest data, as processes; and what they must have written."""

import gzip
import hashlib
import io
import json
import math
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from typing import NamedTuple

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
MNIST = {"train": 7, "t10k": 5}
LONGEST = 120.0
# What differs between two runs that are alike.
_UNLIKE_VALUES = ("seconds", "training_seconds", "export", "commit")
_UNLIKE_FILES = ("saved_model.pb", "fingerprint.pb", "report.html", "losses.png")
# Losses are means over the steps since the line before, or since the run went on.
_OF_A_STEP = ("step", "train_reconstruction", "val_reconstruction")
_MODEL = (
    "--config.data.test_fraction=0.3",
    "--config.model.image_shape=8,8,1",
    "--config.model.latent_dims=2,3",
    "--config.model.blocks=(('conv4/2',),('conv6/2',),('dense8',))",
    "--config.model.head_width=5",
    "--config.data.cache=disk",
    "--config.train.batch_size=8",
    "--config.train.checkpoint_every=4",
    "--config.train.log_every=2",
)


class Whole(NamedTuple):
    """An undisturbed run of a command.

    Attributes:
      contents: of its folder at the end.
      seconds: how long it took.
      paths: how many files and folders came and went.
      sizes: the bytes of each file.
    """

    contents: dict[str, object]
    seconds: float
    paths: int
    sizes: list[int]


class Commands:
    """Commands that write into a folder, and what an undisturbed one writes there.

    Attributes:
      folder: where they write; `begin` makes it anew, always in the same place, so that two runs
        that are alike have the same paths.
      table: command -> its arguments.
    """

    def __init__(self, base, pictures, run, export):
        self.base, self.run, self.whole = base, run, {}
        self.folder, self.log = base / "attempt", base / "log"
        self._process = None
        self.temporary = base / "temporary"
        self.temporary.mkdir()
        images = f"--image_dir={pictures}"
        data = ["--dataset=image_folder", images]
        shown = images.replace("image_dir", "config.data.image_dir")
        self.table = {
            "train": [*data, *_MODEL, "--steps=12", "--workdir=run", "--export_dir=export"],
            "train_classifier": [*data, "--image_size=16", "--steps=4", "--out=classifier"],
            "export": ["--workdir=run", "--export_dir=export"],
            "figures": ["--workdir=run"],
            "evaluate": ["--workdir=run", "--metrics=reconstruction,prior"],
            "compare": [
                *(data[0], shown, *_MODEL, "--steps=8", "--workdir=compared"),
                *("--models=vae", "--metrics=reconstruction"),
            ],
            "prepare": ["--dataset=mnist", f"--source={_mnist_files(base)}", "--data_dir=data"],
            "encode": [f"--export={export}", images, "--out=codes.csv"],
            "sample": [f"--export={export}", "--count=4", "--out=samples.png"],
        }
        # It would show what TensorFlow prints.
        environment = {n: value for n, value in os.environ.items() if n != "TF_CPP_MIN_LOG_LEVEL"}
        self._starter = subprocess.Popen(
            [sys.executable, "-m", "tests.campaigns.starter"],
            env=environment | {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A line that is read ahead would not be waited for.
            bufsize=0,
            cwd=ROOT,
        )

    def begin(self, name, size=None):
        """An empty folder, with the finished run in it that some commands need.

        With a size, the folder is a disk of its own that has so many bytes beside them; only root
        may make one.
        """
        self._clear()
        self.folder.mkdir()
        self.temporary.mkdir(exist_ok=True)
        needed = name != "train" and "--workdir=run" in self.table[name]
        if size is not None:
            size += needed * disk_space(self.run)
            self.mount("-t", "tmpfs", "-o", f"size={size}", "attempt", self.folder)
        if needed:
            shutil.copytree(self.run, self.folder / "run")

    def mount(self, *arguments):
        """Calls mount; returns whether it succeeded."""
        return not subprocess.run(
            ["mount", *arguments], capture_output=True, check=False
        ).returncode

    def _clear(self):
        if os.path.ismount(self.folder):
            subprocess.run(["umount", self.folder], check=True)
        for folder in (self.folder, self.temporary):
            shutil.rmtree(folder, ignore_errors=True)

    def start(self, name, size=None):
        """Starts a command whose files may have `size` bytes, if given; returns its number."""
        if self._process:
            # An attempt that went wrong left it.
            os.kill(self._process, signal.SIGKILL)
            self.finish()
        self.log.write_text("")
        order = {"command": name, "arguments": self.table[name], "size": size}
        order |= {"folder": str(self.folder), "log": str(self.log)}
        self._starter.stdin.write(json.dumps(order).encode() + b"\n")
        self._starter.stdin.flush()
        self._process = int(self._starter.stdout.readline())
        return self._process

    def has_ended(self, seconds):
        """Whether the command ends within so many seconds."""
        return bool(select.select([self._starter.stdout], [], [], seconds)[0])

    def wait_for_paths(self, count):
        """Waits for so many new files and folders, or for the end; returns how many came."""
        before = _paths(self.folder)
        seen = set(before)
        while len(seen) < len(before) + count and not self.has_ended(0.001):
            seen |= _paths(self.folder)
        return len(seen) - len(before)

    def finish(self):
        """(exit code, what the command printed) at its end."""
        assert self.has_ended(LONGEST), f"it hangs: {self.log.read_text()}"
        self._process = None
        return int(self._starter.stdout.readline()), self.log.read_text()

    def whole_run(self, name):
        """The `Whole` of a command, which runs when it is first asked for."""
        if name not in self.whole:
            self.begin(name)
            started = time.monotonic()
            self.start(name)
            paths = self.wait_for_paths(math.inf)
            code, log = self.finish()
            assert code == 0, log
            seconds = time.monotonic() - started
            sizes = [path.stat().st_size for path in self.folder.rglob("*") if path.is_file()]
            self.whole[name] = Whole(contents(self.folder), seconds, paths, sizes)
        return self.whole[name]

    def take_last_versions_as_first(self):
        """Renames the newest of each export to 1: a command may be stopped after its last step."""
        for export in self.folder.rglob("export"):
            versions = sorted(export.glob("[0-9]*"), key=lambda path: int(path.name))
            for path in versions[:-1]:
                shutil.rmtree(path)
            for path in versions[-1:]:
                path.rename(export / "1")

    def close(self):
        self._starter.stdin.close()
        self._starter.wait()
        self._clear()


def _paths(folder):
    """All files and folders in a folder, which may vanish meanwhile."""
    walk = os.walk(folder)
    return {f"{place}/{name}" for place, *both in walk for names in both for name in names}


def disk_space(folder):
    """The bytes of all files and folders in a folder, in whole pages."""
    pages = [1 + path.stat().st_size // 4096 for path in folder.rglob("*")]
    return 4096 * (1 + sum(pages))


def contents(folder):
    """Name -> what two runs that are alike have in common, of all files that are not hidden."""
    names = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: _content(path)
        for name, path in names.items()
        if not name.startswith(".") and "/." not in name and "events.out" not in name
    }


def _content(path):
    content = path.read_bytes()
    if path.suffix == ".json":
        return _alike(json.loads(content))
    if path.suffix == ".jsonl":
        records = map(json.loads, content.splitlines())
        return [{name: record.get(name) for name in _OF_A_STEP} for record in records]
    if path.suffix == ".npz":
        with np.load(path) as file:
            return {name: file[name].tobytes() for name in file}
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return _numbers(io.BytesIO(archive.read("model.weights.h5")))
    if path.suffix == ".h5":
        return _numbers(path)
    return None if path.name in _UNLIKE_FILES else hashlib.sha256(content).hexdigest()


def _alike(values):
    """The same values without those that differ."""
    if isinstance(values, dict):
        return {name: _alike(value) for name, value in values.items() if name not in _UNLIKE_VALUES}
    return [_alike(value) for value in values] if isinstance(values, list) else values


def _numbers(file):
    with h5py.File(file) as group:
        numbers = {}
        group.visititems(
            lambda name, entry: (
                numbers.update({name: entry[()].tobytes()})
                if isinstance(entry, h5py.Dataset)
                else None
            )
        )
    return numbers


def _mnist_files(base):
    """A folder with the files of a tiny MNIST."""
    folder = base / "mnist"
    folder.mkdir()
    for part, count in MNIST.items():
        arrays = np.zeros((count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8)
        for kind, values in zip(("images-idx3", "labels-idx1"), arrays, strict=True):
            sides = b"".join(side.to_bytes(4, "big") for side in values.shape)
            content = bytes([0, 0, 8, values.ndim]) + sides + values.tobytes()
            (folder / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(content))
    return folder
