"""Drawn faces: the picture follows its factors, and the stored data set follows the picture."""

import hashlib
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import SYNTHETIC_FACES
from tf_mmdvlae.data.faces import features
from tf_mmdvlae.data.faces.factors import FACTORS, sample_factors
from tf_mmdvlae.data.faces.geometry import EYE_HEIGHT, HEAD
from tf_mmdvlae.data.faces.painting import cover, paint
from tf_mmdvlae.data.faces.renderer import render

CONTINUOUS = [name for name, factor in FACTORS.items() if factor.kind == "continuous"]
CATEGORICAL = [name for name, factor in FACTORS.items() if factor.kind == "categorical"]
PLAIN = {
    "light_direction": 0.0,
    "light_level": 0.9,
    "light_temperature": 5500.0,
    "background_hue": 200.0,
    "background_brightness": 0.5,
    "skin_tone": 0.3,
    "hair_color": 1,
    "hair_style": 1,
    "face_width": 1.0,
    "face_height": 1.0,
    "eye_distance": 1.0,
    "nose_size": 1.0,
    "mouth_width": 1.0,
    "smile": 0.0,
    "yaw": 0.0,
    "pitch": 0.0,
    "glasses": 0,
    "beard": 0,
}
EYE_ROWS = slice(20, 38)
MOUTH_ROWS = slice(40, 54)


def sweep(name, steps=7, **others):
    """Returns faces as floats `[steps, 64, 64, 3]` that differ in one factor, low to high."""
    factor = FACTORS[name]
    if factor.kind == "categorical":
        values = np.arange(len(factor.classes))
    else:
        values = np.linspace(factor.low, factor.high, steps)
    return render({**PLAIN, **others, name: values}).astype(float)


def changed(images):
    """Returns where any of the faces differs from the first, `[64, 64]`."""
    return (images != images[0]).any(axis=(0, 3))


def luminance(images):
    return images @ np.array([0.299, 0.587, 0.114])


def test_render_returns_byte_images_and_repeats_itself():
    factors = sample_factors(5, seed=1)
    images = render(factors)
    assert images.shape == (5, 64, 64, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, render(factors))
    assert images.std(axis=(1, 2, 3)).min() > 10


def test_scalars_are_repeated_along_the_batch():
    assert render(PLAIN).shape == (1, 64, 64, 3)
    assert render({**PLAIN, "yaw": []}).shape == (0, 64, 64, 3)
    pair = render({**PLAIN, "yaw": [-10, 10]})
    np.testing.assert_array_equal(pair[1:], render({**PLAIN, "yaw": 10}))


def test_a_face_does_not_depend_on_its_batch():
    factors = sample_factors(41, seed=2)
    together = render(factors)
    for number in range(41):
        alone = render({name: values[number] for name, values in factors.items()})
        np.testing.assert_array_equal(together[number], alone[0])


def test_the_drawing_is_that_of_version_2():
    # Stored faces are compared with fresh drawings. Whoever changes the drawing also raises
    # `SyntheticFaces.VERSION`, so that no old data set is compared with it.
    parts = np.linspace(0, 1, 7)
    factors = {
        name: factor.low + parts * (factor.high - factor.low)
        if factor.kind == "continuous"
        else np.arange(7) % len(factor.classes)
        for name, factor in FACTORS.items()
    }
    assert hashlib.sha256(render(factors).tobytes()).hexdigest()[:16] == "05d3f3ba88f692dc"


def test_mirrored_factors_give_the_mirrored_face():
    factors = sample_factors(30, seed=3)
    mirrored = {
        name: -v if name in ("yaw", "light_direction") else v for name, v in factors.items()
    }
    np.testing.assert_array_equal(render(mirrored), render(factors)[:, :, ::-1])


@pytest.mark.parametrize("name", CONTINUOUS)
def test_every_step_of_a_continuous_factor_can_be_seen(name):
    steps = np.abs(np.diff(sweep(name), axis=0)).max(axis=(1, 2, 3))
    assert steps.min() >= 8, steps


# Hue and temperature go round the colors, and lips cover and uncover the same place: they have
# tests of their own.
@pytest.mark.parametrize(
    "name", [n for n in CONTINUOUS if n not in ("background_hue", "light_temperature", "smile")]
)
def test_a_continuous_factor_moves_the_picture_ever_further(name):
    images = sweep(name)
    from_first = np.abs(images - images[0]).mean(axis=(1, 2, 3))
    assert (np.diff(from_first) > 0).all(), from_first
    from_last = np.abs(images - images[-1]).mean(axis=(1, 2, 3))
    assert (np.diff(from_last) < 0).all(), from_last


@pytest.mark.parametrize("name", CATEGORICAL)
def test_all_classes_of_a_factor_look_different(name):
    images = sweep(name)
    for number, image in enumerate(images):
        for other in images[:number]:
            assert np.abs(image - other).max() > 40


def test_light_moves_from_the_left_to_the_right_of_the_face():
    face = luminance(sweep("light_direction"))[:, 20:50]
    left, right = face[..., 18:30].mean((1, 2)), face[..., 34:46].mean((1, 2))
    lean = right - left
    assert (np.diff(lean) > 0).all()
    assert lean[0] < -30
    assert lean[-1] > 30


def test_light_level_skin_and_wall_change_luminance_in_one_direction():
    center = (slice(None), slice(24, 40), slice(24, 40))
    assert (np.diff(luminance(sweep("light_level"))[center].mean((1, 2))) > 2).all()
    assert (np.diff(luminance(sweep("skin_tone"))[center].mean((1, 2))) < -2).all()
    wall = luminance(sweep("background_brightness"))[:, :8, :8].mean((1, 2))
    assert (np.diff(wall) > 5).all()


def test_light_temperature_goes_from_warm_to_cool():
    face = sweep("light_temperature")[:, 20:50, 20:44]
    warmth = face[..., 0].mean((1, 2)) / face[..., 2].mean((1, 2))
    assert (np.diff(warmth) < 0).all()


def test_background_hue_goes_round_the_colors_from_red_to_magenta():
    walls = sweep("background_hue", steps=6)[:, 4, 4]
    high = [tuple(np.flatnonzero(wall > wall.mean())) for wall in walls]
    assert high == [(0,), (0, 1), (1,), (1, 2), (2,), (0, 2)]


@pytest.mark.parametrize("name", ["background_hue", "background_brightness"])
def test_the_wall_does_not_reach_the_face(name):
    area = changed(sweep(name))
    assert area[:8, :8].all()
    assert not area[14:44, 20:44].any()


@pytest.mark.parametrize("name", [n for n in FACTORS if not n.startswith("background")])
def test_the_person_does_not_reach_the_wall(name):
    assert not changed(sweep(name))[:8, :8].any()


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("smile", MOUTH_ROWS),
        ("mouth_width", MOUTH_ROWS),
        ("glasses", EYE_ROWS),
        ("eye_distance", EYE_ROWS),
        ("nose_size", slice(26, 46)),
        ("beard", slice(24, 57)),
    ],
)
def test_a_feature_changes_its_own_rows_only(name, rows):
    area = changed(sweep(name))
    assert area[rows].any()
    area[rows] = False
    assert not area.any()


def test_a_smile_lifts_the_corners_of_the_mouth_and_shows_the_teeth():
    faces = luminance(sweep("smile", steps=5, mouth_width=1.3))
    # A narrow mouth does not reach the column of the corner: what differs there is the corner.
    corner = np.square(faces - luminance(sweep("smile", steps=5, mouth_width=0.75)))[:, :, 24]
    row = (corner * np.arange(64)).sum(axis=1) / corner.sum(axis=1)
    assert (np.diff(row) < -0.5).all(), row
    mouth = faces[:, 46:48, 30:34].max(axis=(1, 2))
    assert mouth[-1] > mouth[2] + 10


def seen_eye(monkeypatch, side, factors):
    """Where each face shows the pupil of one eye: column and row [n], in pixels."""

    def draw_pupil(canvas, face, head):
        u, v = (getattr(head, name) for name in ("u", "v"))
        distance = np.hypot(u - side * face.eye_x, v - EYE_HEIGHT)
        paint(HEAD.view(canvas), cover(distance - 0.03) * head.inside, np.full((3, 1, 1, 1), 2.0))

    with monkeypatch.context() as patch:
        patch.setattr(features, "draw_eyes", lambda canvas, face, head: None)
        without = render(factors)
        patch.setattr(features, "draw_eyes", draw_pupil)
        light = [np.square(images / 255) for images in (without, render(factors))]
    without, pupil = (part / (1 - 0.3 * part) for part in light)
    weights = (pupil - without).sum(axis=3)
    places = np.arange(64) + 0.5
    total = weights.sum(axis=(1, 2))
    return [(weights.sum(axis=axis) * places).sum(axis=1) / total for axis in (1, 2)]


@pytest.mark.slow
def test_every_face_has_the_midpoint_of_its_eyes_at_one_place(monkeypatch):
    factors = sample_factors(150, seed=6)
    factors["glasses"][:] = 0
    # Corners of the ranges that move the head the farthest, too.
    for name in ("yaw", "pitch", "face_width", "face_height", "eye_distance"):
        low, high = FACTORS[name].low, FACTORS[name].high
        factors[name][:50] = np.random.default_rng(len(name)).choice([low, high], 50)
    left, right = (seen_eye(monkeypatch, side, factors) for side in (-1, 1))
    column, row = (np.array(left) + right) / 2
    assert np.ptp(left[0]) > 3
    np.testing.assert_allclose(column, 32, atol=0.1)
    np.testing.assert_allclose(row, 0.47 * 64, atol=0.1)


@pytest.mark.parametrize(("name", "axis", "sign"), [("yaw", 1, -1), ("pitch", 0, 1)])
def test_the_head_turns_around_the_eyes(name, axis, sign):
    # With a light skin before a black wall, what is bright is the person.
    images = sweep(name, background_brightness=0.15, skin_tone=0.0, hair_style=0)
    head = (luminance(images)[:, :50] > 70).any(axis=2 - axis)
    first, last = head.argmax(axis=1), head.shape[1] - 1 - head[:, ::-1].argmax(axis=1)
    moved = first if axis == 0 else (first + last) / 2
    assert (np.diff(sign * moved) > 0).all(), moved
    assert abs(moved[-1] - moved[0]) > 8


@pytest.mark.parametrize(("name", "axis"), [("face_width", 1), ("face_height", 0)])
def test_the_head_grows(name, axis):
    # With a light skin before a black wall, what is bright is the person.
    images = sweep(name, background_brightness=0.15, skin_tone=0.0, hair_style=0)
    head = (luminance(images)[:, :44] > 70).any(axis=2 - axis).sum(axis=1)
    assert (np.diff(head) >= 0).all()
    assert head[-1] - head[0] >= 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"smlie": 0.0}, r"unknown: smlie[\s\S]*Known factors: light_direction, .*beard"),
        ({"yaw": None}, r"yaw must be numbers|yaw = nan"),
        ({"yaw": float("nan")}, r"yaw = nan: must be in \[-30, 30\] degrees"),
        ({"yaw": 30.5}, r"yaw = 30.5: must be in \[-30, 30\] degrees"),
        ({"smile": [0.0, -1.01]}, r"smile = -1.01: must be in \[-1, 1\]"),
        ({"light_level": float("inf")}, r"light_level = inf"),
        ({"glasses": 2}, r"glasses = 2: must be 0 \(none\), 1 \(worn\)"),
        ({"glasses": 0.5}, r"glasses = 0.5"),
        ({"hair_style": "mohawk"}, r"hair_style must be numbers, 0 \(bald\), 1 \(short\)"),
        ({"yaw": [[0.0]]}, r"yaw must be a scalar or an array \[n\]"),
        ({"yaw": [0.0, 1.0], "pitch": [0.0, 1.0, 2.0]}, r"different lengths: \[2, 3\]"),
    ],
)
def test_wrong_factors_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        render({**PLAIN, **change})


def test_a_missing_factor_is_refused_by_name():
    factors = {name: value for name, value in PLAIN.items() if name != "nose_size"}
    with pytest.raises(InputError, match=r"missing: nose_size[\s\S]*Known factors: "):
        render(factors)


def shares_of(factor, edges):
    """The share of a factor's values between neighbouring edges, by its distribution."""
    if factor.deviation is None:
        below = (edges - factor.low) / (factor.high - factor.low)
    else:
        middle = (factor.low + factor.high) / 2
        below = np.array([math.erf((e - middle) / factor.deviation / 2**0.5) for e in edges])
        below = (below - below[0]) / (below[-1] - below[0])
    return np.diff(below)


def test_poses_are_denser_in_the_middle_and_nothing_else_is():
    deviations = {name: f.deviation for name, f in FACTORS.items() if f.deviation}
    assert deviations == {"yaw": 12, "pitch": 6}
    yaw = FACTORS["yaw"].quantile(np.array([0, 0.25, 0.5, 1]))
    # A quarter of the normal's middle 98.76% lies below -0.6648 deviations.
    np.testing.assert_allclose(yaw, [-30, -7.977, 0, 30], atol=0.01)
    # sqrt(1 - 2 * 2.5 * 0.01753 / 0.98758) of 12; the numerator is the normal's density at 2.5.
    assert FACTORS["yaw"].spread == pytest.approx(11.455, abs=1e-3)
    assert FACTORS["smile"].spread == pytest.approx(2 / math.sqrt(12))
    smile = FACTORS["smile"].quantile(np.array([0, 0.25, 0.5, 1]))
    np.testing.assert_array_equal(smile, np.float32([-1, -0.5, 0, 1]))


def test_sampled_factors_are_in_range_distributed_as_they_say_and_independent():
    factors = sample_factors(4000, seed=4)
    assert list(factors) == list(FACTORS)
    columns = []
    for name, factor in FACTORS.items():
        values = factors[name]
        assert values.dtype == (np.float32 if factor.kind == "continuous" else np.int64)
        if factor.kind == "categorical":
            share = np.bincount(values, minlength=len(factor.classes)) / 4000
            assert np.abs(share - 1 / len(factor.classes)).max() < 0.04
        else:
            bins, edges = np.histogram(values, bins=5, range=(factor.low, factor.high))
            assert bins.sum() == 4000
            assert np.abs(bins / 4000 - shares_of(factor, edges)).max() < 0.04
        columns.append(values.astype(float))
    between = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(between).max() < 0.08


def test_sampled_factors_follow_the_seed():
    first, again, other = sample_factors(9, 5), sample_factors(9, 5), sample_factors(9, 6)
    for name in FACTORS:
        np.testing.assert_array_equal(first[name], again[name])
        assert (first[name] != other[name]).any()
    with pytest.raises(InputError, match="got -1"):
        sample_factors(-1, seed=0)


def test_drawing_needs_no_tensorflow():
    code = "import sys, tf_mmdvlae.data.faces.renderer; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# More faces to train on than the builder draws before it writes them.
SIZES = {"train": 1100, "validation": 5, "test": 3}


@pytest.fixture(scope="module")
def builder_class():
    from tf_mmdvlae.data.faces.builder import SyntheticFaces

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SyntheticFaces, "SPLIT_SIZES", SIZES)
        yield SyntheticFaces


@pytest.fixture(scope="module")
def stored(builder_class, tmp_path_factory):
    """Returns every stored example of each split as one dict of arrays, and the builder."""
    import tensorflow_datasets as tfds

    builder = builder_class(data_dir=tmp_path_factory.mktemp("faces"))
    builder.download_and_prepare()
    splits = {}
    for split in SIZES:
        examples = list(tfds.as_numpy(builder.as_dataset(split=split)))
        splits[split] = {key: np.stack([e[key] for e in examples]) for key in examples[0]}
    return splits, builder


@pytest.mark.slow
def test_stored_pictures_are_the_drawings_of_the_stored_factors(stored):
    splits, _ = stored
    for split, size in SIZES.items():
        factors = dict(splits[split])
        images = factors.pop("image")
        assert len(images) == size
        np.testing.assert_array_equal(images, render(factors))


@pytest.mark.slow
def test_every_sampled_face_is_stored_once_and_splits_differ(stored, builder_class):
    splits, _ = stored
    for split, size in SIZES.items():
        drawn = sample_factors(size, builder_class.SPLIT_SEEDS[split])
        for name in FACTORS:
            np.testing.assert_array_equal(np.sort(splits[split][name]), np.sort(drawn[name]))
    assert not np.intersect1d(splits["train"]["yaw"], splits["test"]["yaw"]).size


@pytest.mark.slow
def test_labels_have_names_and_the_info_says_where_the_data_come_from(stored):
    _, builder = stored
    for name in CATEGORICAL:
        assert tuple(builder.info.features[name].names) == FACTORS[name].classes
    assert f"{builder.name}:{builder.version}" == SYNTHETIC_FACES
    assert str(builder.version) in builder.RELEASE_NOTES
    assert "Apache" in builder.info.redistribution_info.license
    assert "no external data" in builder.info.redistribution_info.license


def test_a_failure_while_drawing_leaves_nothing_behind(builder_class, tmp_path, monkeypatch):
    calls, encode = itertools.count(), tf.io.encode_png

    def fail_later(*arguments, **settings):
        if next(calls) > 4:
            raise OSError("disk on fire")
        return encode(*arguments, **settings)

    monkeypatch.setattr(tf.io, "encode_png", fail_later)
    with pytest.raises(OSError, match="disk on fire"):
        builder_class(data_dir=tmp_path).download_and_prepare()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
