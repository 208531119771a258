"""What the devices of a run send each other in a step, and how long a network takes for it."""

import dataclasses

import keras

from tf_mmdvlae.model.mmdvlae import MMDVLAE

_FLOAT = 4
# As a step's graph has them; tests/benchmarks/test_scaling.py counts them there.
_NORMALIZATION_SUMS = 6
_GATHERINGS = 4


@dataclasses.dataclass(frozen=True)
class Network:
    """What connects the devices.

    Attributes:
      name: for people.
      bytes_per_second: that a device can send.
      latency: seconds until a message's first byte arrives.
    """

    name: str
    bytes_per_second: float
    latency: float


NETWORKS = (
    Network("10 Gbit/s Ethernet", 10e9 / 8, 50e-6),
    Network("100 Gbit/s Ethernet", 100e9 / 8, 10e-6),
    Network("NVLink", 300e9, 2e-6),
)
"""Orders of magnitude, for a first idea."""


def exchanged(config, batch_size, devices):
    """What one device sends in a step, when all exchange along a ring.

    A sum over all devices (all-reduce) of m bytes takes 2 (R - 1) messages of m / R bytes from each
    of R devices, a gathering of all parts of m bytes R - 1 of them (Patarasu and Yuan 2009,
    Bandwidth optimal all-reduce algorithms for clusters of workstations). Summed are the gradients,
    all at once; for each batch normalization sums, sums of squares and counts of its channels, and
    the gradients of these three; the terms of the loss; and the gradients of the gathered codes.
    Gathered are the codes, and the codes as the generative ladder is given them. For itself
    TensorFlow gathers sizes three times around that, and sums whether each device has a batch;
    Keras sums every reported value, and how many there are of it.

    It is the step of `distribute="multi_worker"` with an MMD in its loss. "mirrored" reports
    without asking other devices.

    Args:
      config: a `ModelConfig`.
      batch_size: of all devices together.
      devices: R.

    Returns:
      {"gradients", "normalization", "codes": bytes sent a step by each device; "messages": how many
      it sends, each of which is taken to wait for the one before}.
    """
    model = MMDVLAE(config)
    parameters = sum(weight.shape.num_elements() for weight in model.trainable_weights)
    channels = [
        layer.moving_mean.shape[0]
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    codes = _FLOAT * batch_size * 2 * sum(config.latent_dims)
    share = (devices - 1) / devices
    reported = len(model.get_metrics_result())
    sums = 1 + _NORMALIZATION_SUMS * len(channels) + 1 + 1 + 1 + 2 * reported
    return {
        "gradients": 2 * share * _FLOAT * parameters,
        "normalization": 2 * share * _NORMALIZATION_SUMS * _FLOAT * sum(channels),
        "codes": share * codes + 2 * share * codes,
        "messages": (devices - 1) * (2 * sums + _GATHERINGS),
    }


def seconds_on(network, sent):
    """How long a `Network` takes for what `exchanged` gives, in seconds, nothing overlapping."""
    total = sent["gradients"] + sent["normalization"] + sent["codes"]
    return total / network.bytes_per_second + sent["messages"] * network.latency


def scaling_model(config, batch_size, devices=(2, 8, 64), networks=NETWORKS):
    """Where more devices stop paying, each of them with the same number of images a step.

    Args:
      config: a `ModelConfig`.
      batch_size: images a step of one device.
      devices: how many of them.
      networks: `Network`s.

    Returns:
      A list of {"devices", "megabytes" (sent by each a step), "codes_megabytes" (of these),
      "messages", "network", "milliseconds" (of the exchange), "step_for_80_percent": how many
      milliseconds a step must compute for 80% of the time to be computing}.
    """
    rows = []
    for count in devices:
        sent = exchanged(config, count * batch_size, count)
        total = sent["gradients"] + sent["normalization"] + sent["codes"]
        for network in networks:
            milliseconds = 1e3 * seconds_on(network, sent)
            rows.append(
                {
                    "devices": count,
                    "megabytes": total / 1e6,
                    "codes_megabytes": sent["codes"] / 1e6,
                    "messages": sent["messages"],
                    "network": network.name,
                    "milliseconds": milliseconds,
                    "step_for_80_percent": 4 * milliseconds,
                }
            )
    return rows
