"""What the figures were measured on."""

import pathlib
import platform

from tf_mmdvlae.data.reading import processors


def machine():
    """{"processor" (its name), "architecture", "cores" (usable), "gpu" (its name, or "")}."""
    import tensorflow as tf

    details = [
        tf.config.experimental.get_device_details(device).get("device_name", "GPU")
        for device in tf.config.list_physical_devices("GPU")
    ]
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": processors(),
        "gpu": ", ".join(details),
    }


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
