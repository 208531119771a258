"""The learning rate over a run."""

import keras
import pytest

from tf_mmdvlae.model.schedule import HoldThenCosine


def test_held_then_half_a_cosine_to_zero():
    rate = HoldThenCosine(2e-3, steps=100, decay_start=0.6)
    rates = {step: float(rate(step)) for step in (0, 60, 70, 80, 100, 150)}
    # A quarter of the fall leaves (1 + cos(pi / 4)) / 2.
    expected = {0: 2e-3, 60: 2e-3, 70: 1.707107e-3, 80: 1e-3, 100: 0.0, 150: 0.0}
    assert rates == pytest.approx(expected, abs=1e-9)


def test_a_schedule_that_starts_anew():
    rate = HoldThenCosine(2e-3, steps=200, decay_start=0.6, start=100)
    first = HoldThenCosine(2e-3, steps=100, decay_start=0.6)
    for step in (0, 60, 70, 80, 100):
        assert float(rate(100 + step)) == pytest.approx(float(first(step)), abs=1e-9)


def test_no_fall():
    rate = HoldThenCosine(2e-3, steps=100, decay_start=1.0)
    assert [float(rate(step)) for step in (0, 99, 100)] == pytest.approx([2e-3] * 3)


def test_it_comes_back_from_its_config():
    rate = HoldThenCosine(2e-3, steps=100, decay_start=0.6, start=40)
    schedules = keras.optimizers.schedules
    copy = schedules.deserialize(schedules.serialize(rate))
    assert copy.get_config() == rate.get_config()
