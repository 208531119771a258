"""The learning rate as a function of the step."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tf_mmdvlae")
class HoldThenCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Holds a learning rate, then lets it fall along half a cosine to zero at the step `steps`.

    The schedule begins at the step `start`. `decay_start` is where the fall begins, as a fraction
    of the steps from there; 1 for no fall.
    """

    def __init__(self, learning_rate: float, steps: int, decay_start: float, start: int = 0):
        self.learning_rate = learning_rate
        self.steps = steps
        self.decay_start = decay_start
        self.start = start

    def __call__(self, step: Any) -> Any:
        held = self.start + (self.steps - self.start) * self.decay_start
        fallen = (ops.cast(step, "float32") - held) / max(self.steps - held, 1.0)
        fallen = ops.clip(fallen, 0.0, 1.0)
        return self.learning_rate * 0.5 * (1.0 + ops.cos(math.pi * fallen))

    def get_config(self) -> dict[str, Any]:
        names = ("learning_rate", "steps", "decay_start", "start")
        return {name: getattr(self, name) for name in names}
