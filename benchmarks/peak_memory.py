"""The most memory that training takes, in a process of its own."""

import json
import pathlib
import sys

import tensorflow as tf

from benchmarks.harness import compile_step, make_ladder, run_python
from tf_mmdvlae.config.settings import Config

STEPS = 2


def peak_memory(config: Config, policy: str = "float32") -> dict:
    """Trains a few steps on one random batch in another process, in a Keras dtype policy.

    Returns:
      {"device": "CPU" or "GPU", "peak_megabytes", "loaded_megabytes"}: the highest use of the
      processor's memory or the GPU's, and TensorFlow's own share, before the model exists.
    """
    arguments = ["-m", "benchmarks.peak_memory", json.dumps(config.to_dict()), policy]
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    [output] = run_python("The process that measures memory", arguments, [environment])
    return json.loads(output.splitlines()[-1])


def _measure(config, policy):
    gpus = tf.config.list_physical_devices("GPU")
    for device in gpus:
        tf.config.experimental.set_memory_growth(device, True)
    shape = (config.train.batch_size, *config.model.image_shape)
    images = tf.random.stateless_uniform(shape, (0, 0))
    loaded = _peak_megabytes(gpus)
    step = compile_step(make_ladder(config, policy), images)
    for _ in range(STEPS):
        float(step(images)["loss"])
    memory = {"peak_megabytes": _peak_megabytes(gpus), "loaded_megabytes": loaded}
    return {"device": "GPU" if gpus else "CPU", **memory}


def _peak_megabytes(gpus):
    if gpus:
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    # A new process starts with the ru_maxrss of the process that made it, but not with its VmHWM.
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(_measure(Config.from_dict(json.loads(sys.argv[1])), sys.argv[2])))
