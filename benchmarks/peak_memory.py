"""The most memory that training takes, in a process of its own."""

import json
import pathlib
import subprocess
import sys

from benchmarks.processes import check, environment

STEPS = 2


def peak_memory(config, policy="float32"):
    """Trains a few steps on one random batch in another process and asks how much it held.

    Args:
      config: a `Config`.
      policy: the Keras dtype policy of the layers.

    Returns:
      {"device": "CPU" or "GPU", "peak_megabytes", "loaded_megabytes"}: the most that was held, of
      the processor's memory or the GPU's, and what TensorFlow alone had taken before the model was
      made.

    Raises:
      InputError: if that process fails: the memory may not be enough.
    """
    answer = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps({"config": config.to_dict(), "policy": policy}),
        env=environment(TF_CPP_MIN_LOG_LEVEL="3"),
        capture_output=True,
        text=True,
    )
    check("The process that measures memory", answer.returncode, answer.stderr)
    return json.loads(answer.stdout.splitlines()[-1])


def main():
    """Reads a config and a policy from standard input and prints the answer."""
    import tensorflow as tf

    from benchmarks.steps import compile_step, make_ladder
    from tf_mmdvlae.config.settings import Config

    asked = json.load(sys.stdin)
    config = Config.from_dict(asked["config"])
    gpus = tf.config.list_physical_devices("GPU")
    for device in gpus:
        tf.config.experimental.set_memory_growth(device, True)
    images = tf.random.stateless_uniform(
        (config.train.batch_size, *config.model.image_shape), (0, 0)
    )
    loaded = _held(gpus)
    step = compile_step(make_ladder(config, asked["policy"]), images)
    for _ in range(STEPS):
        float(step(images)["loss"])
    answer = {"device": "GPU" if gpus else "CPU"}
    print(json.dumps({**answer, "peak_megabytes": _held(gpus), "loaded_megabytes": loaded}))


def _held(gpus):
    import tensorflow as tf

    if gpus:
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    # Not ru_maxrss: a new process starts with that of the one that made it.
    status = pathlib.Path("/proc/self/status").read_text().splitlines()
    line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main()
