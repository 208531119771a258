"""What the measurements share: clocks, processes of their own, a compiled training step."""

import functools
import json
import os
import pathlib
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Hashable

import keras
import numpy as np
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.progress import Progress
from tf_mmdvlae.config.settings import Config
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.data.reading import processors
from tf_mmdvlae.model.devices import precision
from tf_mmdvlae.model.fused import FusedAdam
from tf_mmdvlae.model.mmdvlae import MMDVLAE

_ROOT = pathlib.Path(__file__).resolve().parents[1]


def seconds(call: Callable, times: int) -> float:
    """The mean time of `times` calls of `call`, in seconds, until the last result is there."""
    start = time.perf_counter()
    for _ in range(times):
        result = call()
    # A device may work ahead of Python.
    tf.nest.map_structure(np.asarray, result)
    return (time.perf_counter() - start) / times


def alternate(
    calls: dict[Hashable, Callable], rounds: int, least: float = 0.5
) -> dict[Hashable, np.ndarray]:
    """Times several calls in turn, so that whatever slows the machine down slows all of them alike.

    Two calls of each come before the first round: one compiles, and one shows how many calls fill
    about `least` seconds, which is how long one measurement lasts.

    Returns:
      name -> float64 [rounds], the seconds of one call in each round.
    """
    for call in calls.values():
        seconds(call, 1)
    repeats = {name: max(1, round(least / seconds(call, 1))) for name, call in calls.items()}
    times = {name: np.zeros(rounds) for name in calls}
    progress = Progress(rounds * len(calls), "measurements", images=0)
    for index in range(rounds):
        for place, (name, call) in enumerate(calls.items(), start=1):
            times[name][index] = seconds(call, repeats[name])
            progress.update(index * len(calls) + place)
    progress.close()
    return times


def spread(values: np.ndarray) -> dict[str, float]:
    """The median and the extremes of some measurements: {"median", "low", "high"}."""
    statistics = {"median": np.median, "low": np.min, "high": np.max}
    return {name: float(statistic(values)) for name, statistic in statistics.items()}


def run_python(what: str, arguments: list[str], environments=({},), cores=(None,)) -> list[str]:
    """Runs Python in processes of their own, at the same time, and waits for all of them.

    Args:
      what: what each process is, for the InputError, which also has the last line of its errors.
      arguments: Python's arguments, the same for every process.
      environments: for each process the variables that it has besides those of this process.
      cores: for each process the cores that it may use; None for all.

    Returns:
      What each process wrote to standard output.
    """
    # The package need not be installed.
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    processes = [
        subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path, **environment},
            # TensorFlow counts its cores once, when it starts.
            preexec_fn=own and functools.partial(os.sched_setaffinity, 0, own),
        )
        for environment, own in zip(environments, cores, strict=True)
    ]
    try:
        outputs = [process.communicate() for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, outputs, strict=True):
        _require_success(what, process.returncode, errors)
    return [output for output, _ in outputs]


def run_fork(what: str, call: Callable):
    """The result of `call` in a copy of this process; JSON must be able to hold this result.

    The process may have imported TensorFlow but not used it. An InputError calls the copy `what`.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "w") as pipe:
            try:
                answer, code = json.dumps(call()), 0
            # An exception that left this block would go on with the parent's work.
            except BaseException as error:
                answer, code = f"{type(error).__name__}: {error}", 1
            pipe.write(answer)
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    _require_success(what, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), answer)
    return json.loads(answer)


def _require_success(what, code, errors):
    if not code:
        return
    how = f"exit code {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    last = errors.strip().splitlines()[-1:]
    raise InputError(f"{what} failed ({how})" + "".join(f": {line}" for line in last))


def machine() -> dict:
    """{"processor" (its name), "architecture", "cores" (usable), "gpu" (its name, or "")}."""
    devices = tf.config.list_physical_devices("GPU")
    details = map(tf.config.experimental.get_device_details, devices)
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "architecture": platform.machine(),
        "cores": processors(),
        "gpu": ", ".join(detail.get("device_name", "GPU") for detail in details),
    }


def mixed_policy() -> str:
    """The dtype policy of mixed precision that suits this machine."""
    return "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"


def make_ladder(config: Config, policy: str = "float32") -> MMDVLAE:
    """The model of a config after `compile`, with the noise and the schedule of a run."""
    keras.utils.set_random_seed(0)
    with precision(policy):
        fade_in = config.train.fade_in(len(config.model.latent_dims))
        model = MMDVLAE(config.model, fade_in=fade_in)
    model.compile(FusedAdam(config.train.learning_rate))
    return model


def compile_step(model: keras.Model, data) -> Callable:
    """The training step of a model, compiled for batches like `data` as `fit` compiles it.

    It is a `tf.types.experimental.ConcreteFunction`, which returns the metrics.
    """
    # XLA compiles the step on a GPU, and such a step cannot create variables.
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.train_step, jit_compile=model.jit_compile)
    return step.get_concrete_function(data)


def random_split(shape: tuple[int, ...], count: int) -> pipeline.Split:
    """A split of `count` random images of `shape`."""
    images = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    return pipeline.Split("train", images, {}, {}, count)
