"""What the config files share."""

from typing import Any

BLOCKS = {
    28: (("conv16/2", "conv32/2", "dense256"), ("dense256",), ("dense256", "dense256")),
    32: (("conv32/2",), ("conv64/2",), ("conv128/2",), ("dense256",)),
    64: (("conv24/2",), ("conv48/2",), ("conv96/2",), ("conv192/2",), ("dense256",)),
    128: (
        ("conv12/2",),
        ("conv24/2",),
        ("conv48/2",),
        ("conv96/2",),
        ("conv192/2",),
        ("dense256",),
    ),
}
"""Side of the (square) image in pixels -> the blocks of `ModelConfig`, lowest first."""

PAPER_OBJECTIVE: dict[str, Any] = {
    "reconstruction": "l1",
    "reconstruction_weight": 100.0,
    "mmd_weights": 100.0,
    "joint_mmd_weight": 0.0,
    "kernel": "gaussian",
    "estimator": "biased",
    "prior": "sampled",
    "deviation_floor": 0.0,
}
"""The objective of Xu 2018, but for the kernel's scale, which depends on the layers' dimension."""
