"""What the devices of a run send each other in a step, and how long a network takes for it."""

from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.model.mmdvlae import MMDVLAE

_FLOAT, _BFLOAT16 = 4, 2
# As a step's graph has them; tests/benchmarks/test_scaling_model.py counts them there.
_SUMS = 2
# Mean and variance of a channel.
_STATISTICS = 2
_GATHERINGS = 2

DEVICES = (2, 8, 64)
NETWORKS = {
    "10 Gbit/s Ethernet": (10e9 / 8, 50e-6),
    "100 Gbit/s Ethernet": (100e9 / 8, 10e-6),
    "NVLink": (300e9, 2e-6),
}
"""Orders of magnitude: bytes per second that a device can send, and seconds until the first byte
of a message arrives."""


def traffic(config: ModelConfig, batch_size: int, devices: int) -> dict[str, float]:
    """What one device sends in a step, when all devices exchange along a ring.

    A sum over all devices (all-reduce) of m bytes takes 2 (R - 1) messages of m / R bytes from each
    of R devices; a gathering of all parts of m bytes takes R - 1 of them (Patarasu and Yuan 2009,
    Bandwidth optimal all-reduce algorithms for clusters of workstations). The devices sum all
    gradients in one go, in bfloat16, and the terms of the loss with the statistics of all batch
    normalizations in another. They gather the codes together with the codes as the generative
    ladder takes them, and before that TensorFlow gathers how many there are.

    The step is that of `distribute="multi_worker"` with an MMD in its loss, where batch
    normalization sees each device's part of the batch (`batch_statistics="own"`). `batch_size`
    counts the images of all devices together.

    Returns:
      {"gradients", "normalization", "codes": bytes that each device sends per step; "messages":
      their number, where each message waits for the one before}.
    """
    model = MMDVLAE(config)
    parameters = sum(weight.shape.num_elements() for weight in model.trainable_weights)
    state = model.non_trainable_weights
    channels = [weight.shape[0] for weight in state if weight.path.endswith("moving_mean")]
    codes = _FLOAT * batch_size * 2 * sum(config.latent_dims)
    share = (devices - 1) / devices
    return {
        "gradients": 2 * share * _BFLOAT16 * parameters,
        "normalization": 2 * share * _STATISTICS * _FLOAT * sum(channels),
        "codes": share * codes,
        "messages": (devices - 1) * (2 * _SUMS + _GATHERINGS),
    }


def scaling_model(config: ModelConfig, batch_size: int) -> list[dict]:
    """Where more devices stop paying, if each has `batch_size` images per step.

    Returns:
      {"devices", "megabytes" (that each device sends per step), "codes_megabytes" (of these),
      "messages", "network", "milliseconds" (of the exchange, nothing overlapping),
      "step_for_80_percent" (the milliseconds that a step must compute for 80% of the time to be
      computing)} for each of `DEVICES` and `NETWORKS`.
    """
    rows = []
    for count in DEVICES:
        sent = traffic(config, count * batch_size, count)
        total = sent["gradients"] + sent["normalization"] + sent["codes"]
        sizes = {"megabytes": total / 1e6, "codes_megabytes": sent["codes"] / 1e6}
        messages = sent["messages"]
        for network, (bytes_per_second, latency) in NETWORKS.items():
            exchange = total / bytes_per_second + messages * latency
            times = {"milliseconds": 1e3 * exchange, "step_for_80_percent": 4e3 * exchange}
            row = {"devices": count, **sizes, "messages": messages}
            rows.append({**row, "network": network, **times})
    return rows
