"""The error of held-out images during training, and what a run says of it."""

import re

import numpy as np
import pytest

from tf_mmdvlae.data import description, pipeline
from tf_mmdvlae.training import held_out
from tf_mmdvlae.training.held_out import HeldOut, has_stopped, load_held_out, overfitting, standing
from tf_mmdvlae.training.run import make_model


def split(images):
    return pipeline.Split("train", np.uint8(images * 255), {}, {}, len(images))


def test_training_and_held_out_images_are_measured_alike(run_config, images):
    model = make_model(run_config)
    before = [w.numpy() for w in model.weights]
    measured = HeldOut(run_config, split(images[:20]), split(images[:20])).measure(model, 12)
    assert measured["train_reconstruction"] == measured["val_reconstruction"]
    # In training mode, a batch's own statistics would give another number.
    seen = np.uint8(images[:20] * 255) / np.float32(255)
    expected = model.losses(seen, step=12, draw=0)["reconstruction"]
    assert measured["val_reconstruction"] == pytest.approx(float(expected), rel=1e-5)
    assert all(np.array_equal(w, old) for w, old in zip(model.weights, before, strict=True))


def test_each_image_counts_the_same(run_config, images, monkeypatch):
    monkeypatch.setattr(held_out, "_ROWS", 16)
    seen = np.uint8(images * 255) / np.float32(255)
    model = make_model(run_config)
    errors = [
        float(model.losses(seen[start : start + 16], 12, draw=k)["reconstruction"])
        for k, start in enumerate((0, 16))
    ]
    last = float(model.losses(seen[32:40], 12, draw=2)["reconstruction"])
    measured = HeldOut(run_config, split(images[:3]), split(images[:40])).measure(model, 12)
    assert measured["val_reconstruction"] == pytest.approx((2 * sum(errors) + last) / 5, rel=1e-5)


@pytest.mark.parametrize(
    ("steps", "batch", "every"),
    # 40 images cost 40 / 3 / 8 steps of 8, 2% of 83.3.
    [(5_000, 8, 200), (12, 8, 84), (12, 80, 9)],
)
def test_measuring_takes_at_most_a_fiftieth_of_the_time(run_config, images, steps, batch, every):
    config = run_config.changed(train={"steps": steps, "batch_size": batch})
    assert HeldOut(config, split(images[:20]), split(images[20:40])).every == every


@pytest.mark.parametrize(
    ("train", "test", "splits", "watched"),
    [
        ("train[:90%]", "test", ("train", "validation", "test"), "validation[:256]"),
        ("train", "test", ("train", "test"), None),
        ("train+validation", "test", ("train", "validation", "test"), None),
        ("train", "validation", ("train", "validation", "test"), None),
    ],
)
def test_a_validation_split_is_watched_where_nothing_else_uses_it(
    run_config, images, monkeypatch, train, test, splits, watched
):
    data = {"dataset": "celeb_a", "train_split": train, "test_split": test}
    config = run_config.changed(data=data)
    described = description.Description((8, 8, 1), dict.fromkeys(splits, 300), len)
    monkeypatch.setattr(description, "describe", lambda data: described)
    monkeypatch.setattr(pipeline, "load_split", lambda data, shape, which: data.test_split)
    used = split(images)
    assert load_held_out(config, used) == (watched or used)


def log(train, val):
    """Measurements at steps 100, 200 ..., between steps without one."""
    measured = [
        {"step": 100 * k, "train_reconstruction": a, "val_reconstruction": b}
        for k, (a, b) in enumerate(zip(train, val, strict=True), start=1)
    ]
    return [{"step": 50, "reconstruction": 9.0}, *measured]


@pytest.mark.parametrize(
    ("history", "images", "says"),
    [
        ([], 256, None),
        (log([0.3, 0.2, 0.1], [0.3, 0.22, 0.14]), 256, None),
        # Less than 5% above the lowest.
        (log([0.3, 0.2, 0.1], [0.3, 0.1, 0.104]), 256, None),
        (
            log([0.3, 0.2, 0.1], [0.3, 0.1, 0.106]),
            256,
            r"0\.1000 .* at step 200\. Fewer --steps",
        ),
        # A layer that fades in disturbs both.
        (log([0.3, 0.1, 0.2], [0.3, 0.1, 0.2]), 256, None),
        (
            log([0.3, 0.2, 0.1], [0.3, 0.22, 0.16]),
            256,
            "than others: .* 0.1600 on held-out",
        ),
        (log([0.3, 0.2, 0.1], [0.3, 0.22, 0.16]), 15, None),
    ],
)
def test_a_run_that_overfits_says_so(history, images, says):
    sentence = overfitting(history, images)
    assert re.search(says, sentence) if says else sentence == ""


@pytest.mark.parametrize(
    ("errors", "changes", "expected"),
    [
        ({}, {}, (0, 0)),
        ({100: 0.5, 200: 0.4, 300: 0.45, 400: 0.4}, {}, (200, 2)),
        # Layer 1 fades in until step 425 = 1000 * (0.35 + 0.15 / 2).
        ({100: 0.1, 425: 0.1, 500: 0.4, 600: 0.5}, {"progressive": True}, (500, 1)),
        ({100: 0.1, 200: 0.3, 300: 0.2}, {"continued_from": 100}, (300, 0)),
    ],
)
def test_where_a_run_stands(run_config, errors, changes, expected):
    train = {"steps": 1000, "progressive": False, "stop_after": 2, **changes}
    config = run_config.changed(train=train)
    history = [{"step": 50, "loss": 1.0}, {"step": 60, "val_reconstruction": None}]
    history += [{"step": step, "val_reconstruction": error} for step, error in errors.items()]
    assert standing(history, config) == expected
    assert has_stopped(history, config) == (expected[1] >= 2)
    assert not has_stopped(history, config.changed(train={"stop_after": 0}))
