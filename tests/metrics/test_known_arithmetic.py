import dataclasses
import json
import math

import numpy as np
import pytest
from scipy.special import ndtr

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data.faces.factors import FACTORS, Factor
from tf_mmdvlae.data.faces.renderer import render as render_faces
from tf_mmdvlae.metrics.known_arithmetic import known_arithmetic

TABLE = {
    "light": Factor("light", "continuous", -2.0, 2.0, (), "lamps", ""),
    "size": Factor("size", "continuous", 10.0, 20.0, (), "cm", ""),
    "color": Factor("color", "categorical", 0, 2, ("red", "green", "blue"), "class", ""),
    "hat": Factor("hat", "categorical", 0, 1, ("none", "worn"), "class", ""),
}
SETS = ["z_1", "z_2", "z_3", "z_1-2", "all"]


def shares(factors):
    """Each factor's place in its range [n, 4]."""
    return np.stack(
        [(factors[name] - f.low) / (f.high - f.low) for name, f in TABLE.items()], axis=1
    )


def render(factors):
    """Each factor is the grey of its own row of four pixels."""
    levels = np.rint(255 * shares(factors)).astype(np.uint8)
    return np.repeat(levels[:, :, None, None], 4, axis=2)


def read(images):
    rows = np.asarray(images)[..., 0].mean(axis=2)
    distances = {
        "color": np.abs(rows[:, [2]] - [0, 0.5, 1]),
        "hat": np.abs(rows[:, [3]] - [0, 1]),
    }
    return {
        "light": -2 + 4 * rows[:, 0],
        "size": 10 + 10 * rows[:, 1],
        **{name: np.exp(-9 * d) for name, d in distances.items()},
    }


def grey(images):
    return images[..., 0].mean(axis=2)


def pictures(greys):
    return np.repeat(np.asarray(greys)[:, :, None, None], 4, axis=2)


def with_deviations(means):
    return means, {name: np.ones_like(codes) for name, codes in means.items()}


def encode(images):
    """light in z_1, size in z_2, color and hat in z_3."""
    rows = grey(images)
    return with_deviations({"z_1": rows[:, :1], "z_2": rows[:, 1:2], "z_3": rows[:, 2:]})


def decode(codes):
    return pictures(np.concatenate([codes["z_1"], codes["z_2"], codes["z_3"]], axis=1))


def values(layers, key):
    return {name: measures[key]["value"] for name, measures in layers.items()}


def test_a_perfect_model_reaches_the_floor_with_the_layers_that_hold_the_factor():
    result = known_arithmetic(encode, decode, render, TABLE, read)
    assert list(result["factors"]) == list(TABLE)
    holders = {"light": ("z_1", "z_1-2"), "size": ("z_2", "z_1-2"), "color": ("z_3",)}
    for name, factor in result["factors"].items():
        assert factor["floor"]["value"] == pytest.approx(0, abs=1e-6)
        assert factor["ceiling"]["value"] > 0.2
        assert list(factor["layers"]) == SETS
        for layers, measures in factor["layers"].items():
            knows = layers in (*holders.get(name, ("z_3",)), "all")
            assert measures["gap"]["value"] == pytest.approx(0 if knows else 1, abs=1e-5)
            assert measures["moved"]["value"] == pytest.approx(1 if knows else 0, abs=1e-2)
            assert measures["others_moved"]["value"] == pytest.approx(0, abs=1e-5)
            assert measures["others_kept"]["value"] == 1
            assert {measure["count"] for measure in measures.values()} == {100}
            expected = 0 if knows else factor["ceiling"]["value"]
            assert measures["error"]["value"] == pytest.approx(expected, abs=1e-6)
        assert factor["truth"]["moved"]["value"] == pytest.approx(1, abs=1e-2)
        assert factor["truth"]["others_kept"]["value"] == 1
    json.dumps(result, allow_nan=False)


def test_errors_by_hand_of_the_pixels_that_change():
    # Every picture comes back a tenth too bright, and by one more in the row that shows the hat.
    def in_color(factors):
        return np.repeat(render(factors), 3, axis=3)

    def bright(codes):
        result = np.repeat(decode(codes), 3, axis=3) + 0.1
        result[:, 3] += 1
        return result

    factors = known_arithmetic(encode, bright, in_color, TABLE)["factors"]
    assert factors["color"]["floor"]["value"] == pytest.approx(0.1, abs=1e-6)
    assert factors["color"]["layers"]["all"]["error"]["value"] == pytest.approx(0.1, abs=1e-6)
    assert factors["color"]["layers"]["all"]["gap"]["value"] == pytest.approx(0, abs=1e-5)
    assert factors["color"]["layers"]["z_1"]["gap"]["value"] == pytest.approx(1, abs=1e-5)
    # |truth - (a + .1)| is .4 or .9 where the color grows, .6 or 1.1 where it falls: on average
    # (4 x .5 + 2 x 1) / 6.
    ceiling = factors["color"]["ceiling"]
    assert ceiling["value"] == pytest.approx(2 / 3, abs=4 * ceiling["standard_error"])
    assert ceiling["standard_error"] == pytest.approx(0.25 / 10, rel=0.15)
    assert set(factors["color"]) == {"floor", "ceiling", "layers"}
    assert set(factors["color"]["layers"]["all"]) == {"error", "gap"}


def test_half_of_a_factor_in_each_of_two_layers_is_half_the_way():
    def encode_twice(images):
        rows = grey(images)
        return with_deviations({"z_1": rows, "z_2": rows})

    def decode_mean(codes):
        return pictures((codes["z_1"] + codes["z_2"]) / 2)

    result = known_arithmetic(encode_twice, decode_mean, render, TABLE, read)
    for name in ("light", "size"):
        layers = result["factors"][name]["layers"]
        assert values(layers, "gap") == pytest.approx({"z_1": 0.5, "z_2": 0.5, "all": 0}, abs=1e-5)
        moved = {"z_1": 0.5, "z_2": 0.5, "all": 1}
        assert values(layers, "moved") == pytest.approx(moved, abs=1e-2)


def test_factors_that_share_a_layer_are_seen_to_move_together():
    def encode_sum(images):
        rows = grey(images)
        rows[:, 0] += rows[:, 1]
        rows[:, 2] += 0.6 * rows[:, 3]
        return with_deviations({"z_1": rows[:, [0, 2]], "z_2": rows[:, [1, 3]]})

    def decode_difference(codes):
        (light, color), (size, hat) = codes["z_1"].T, codes["z_2"].T
        return pictures(np.stack([light - size, size, color - 0.6 * hat, hat], axis=1))

    factors = known_arithmetic(encode_sum, decode_difference, render, TABLE, read)["factors"]
    layers = factors["size"]["layers"]
    assert values(layers, "moved") == pytest.approx({"z_1": 0, "z_2": 1, "all": 1}, abs=1e-2)
    # Pairs at least a quarter of the range apart are half of it apart on average, and a uniform
    # draw's deviation is 1 / sqrt(12) of it.
    for name in ("z_1", "z_2"):
        moved = layers[name]["others_moved"]
        assert moved["value"] == pytest.approx(math.sqrt(12) / 2, abs=4 * moved["standard_error"])
        assert 0.03 < moved["standard_error"] < 0.1
    assert layers["all"]["others_moved"]["value"] == pytest.approx(0, abs=1e-5)
    assert values(layers, "others_kept") == {"z_1": 1, "z_2": 1, "all": 1}
    # A hat less or more is 0.6 of the way to another color: red, green and blue at 0, 0.5 and 1
    # become 0.6, 1.1 and 1.6, or -0.6, -0.1 and 0.4, and blue or red are what they were.
    kept = factors["hat"]["layers"]["z_1"]["others_kept"]
    assert kept["value"] == pytest.approx(1 / 3, abs=4 * kept["standard_error"])
    assert kept["standard_error"] == pytest.approx(math.sqrt(2 / 9 / 100), rel=0.2)


def test_a_change_that_depends_on_another_factor_has_the_expected_slope_and_standard_error():
    def encode_product(images):
        rows = grey(images)
        rows[:, 0] *= 1 + rows[:, 1]
        return with_deviations({"z_1": rows})

    def decode_quotient(codes):
        rows = codes["z_1"].copy()
        rows[:, 0] /= 1 + rows[:, 1]
        return pictures(rows)

    results = [
        known_arithmetic(encode_product, decode_quotient, render, TABLE, read, 100, seed)
        for seed in range(100)
    ]
    lights = [result["factors"]["light"]["layers"]["all"] for result in results]
    # light moves by (1 + s') / (1 + s) of the way, s and s' being independent and uniform.
    for key in ("moved", "gap"):
        estimates = np.array([light[key]["value"] for light in lights])
        claimed = np.mean([light[key]["standard_error"] for light in lights])
        assert claimed == pytest.approx(estimates.std(), rel=0.25)
        if key == "moved":
            assert estimates.mean() == pytest.approx(1.5 * math.log(2), abs=4 * claimed / 10)


def test_what_the_model_does_not_draw_has_no_gap():
    def blind(images):
        means, deviations = encode(images)
        return {**means, "z_1": 0 * means["z_1"]}, deviations

    result = known_arithmetic(blind, decode, render, TABLE, read)
    light = result["factors"]["light"]
    assert light["floor"]["value"] == light["ceiling"]["value"] > 0.1
    for measures in light["layers"].values():
        assert math.isnan(measures["gap"]["value"])
        assert "not clearly nearer" in measures["gap"]["note"]
        assert measures["moved"]["value"] == pytest.approx(0)
    assert light["truth"]["moved"]["value"] == pytest.approx(0)
    gap = result["overall"]["layers"]["all"]["gap"]
    assert (gap["factors"], gap["count"]) == (3, 300)
    assert gap["value"] == pytest.approx(0, abs=1e-5)
    assert gap["note"] == "not known for light"
    nothing = known_arithmetic(lambda images: blind(0 * images), decode, render, TABLE)
    assert math.isnan(nothing["overall"]["layers"]["all"]["gap"]["value"])
    assert nothing["overall"]["layers"]["all"]["gap"]["factors"] == 0


def test_noise_in_the_bounds_is_no_knowledge():
    random = np.random.default_rng(0)

    def noisy(codes):
        return random.uniform(0, 1, (len(codes["z_1"]), 4, 4, 1))

    gaps = [
        factor["layers"]["all"]["gap"]["value"]
        for seed in range(5)
        for factor in known_arithmetic(encode, noisy, render, TABLE, seed=seed)["factors"].values()
    ]
    assert np.isnan(gaps).mean() > 0.9


def test_the_overall_average_by_hand():
    def halfway(codes):
        moved = {**codes, "z_1": np.round(codes["z_1"], 1), "z_2": np.round(codes["z_2"], 1)}
        return decode(moved)

    result = known_arithmetic(encode, halfway, render, TABLE, read, triples=30)
    for path in (("layers", "all", "gap"), ("truth", "moved"), ("ceiling",)):
        parts = [*result["factors"].values(), result["overall"]]
        for key in path:
            parts = [part[key] for part in parts]
        *each, overall = parts
        assert overall["value"] == pytest.approx(np.mean([one["value"] for one in each]))
        errors = [one["standard_error"] for one in each]
        assert overall["standard_error"] == pytest.approx(math.hypot(*errors) / 4)
        assert (overall["count"], overall["factors"]) == (120, 4)


def test_triples_are_as_described_and_each_picture_is_drawn_and_encoded_once():
    renders, counts = [], {"encoded": 0, "decoded": 0}

    def spy_render(factors):
        renders.append(factors)
        return render(factors)

    def spy_encode(images):
        assert images.dtype == np.float32
        assert 0 <= images.min() < images.max() <= 1
        counts["encoded"] += len(images)
        return encode(images)

    def spy_decode(codes):
        counts["decoded"] += len(codes["z_1"])
        return decode(codes)

    done = []
    known_arithmetic(
        spy_encode, spy_decode, spy_render, TABLE, triples=500, progress=lambda *at: done.append(at)
    )
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert counts == {"encoded": 4 * 2000, "decoded": (2 + len(SETS)) * 2000}
    for name, faces in zip(TABLE, renders, strict=True):
        a, minus, plus, truth = (
            {other: column[start : start + 500] for other, column in faces.items()}
            for start in range(0, 2000, 500)
        )
        for other, factor in TABLE.items():
            same_as_a, same_as_plus = (truth, minus) if other != name else (minus, truth)
            np.testing.assert_array_equal(a[other], same_as_a[other])
            np.testing.assert_array_equal(plus[other], same_as_plus[other])
            share = shares({**a, other: a[other]})[:, list(TABLE).index(other)]
            assert (share.min(), share.max()) == pytest.approx((0, 1), abs=0.02)
            change = np.abs(shares(plus) - shares(a))[:, list(TABLE).index(other)]
            if other != name:
                assert change.min() < 0.02
            elif factor.kind == "categorical":
                assert change.min() > 0.4
            else:
                assert change.min() == pytest.approx(0.25, abs=0.01)
                assert change.max() > 0.9
        assert set(a["color"]) == {0, 1, 2}


def test_triples_in_which_hardly_a_pixel_changes_have_no_error():
    def hidden(factors):
        images = render(factors)
        images[factors["light"] < 0, 3] = 0
        # Four levels are not a change, five are.
        images[:, 2] = 4 * factors["color"][:, None, None]
        return images

    factors = known_arithmetic(encode, decode, hidden, TABLE, read)["factors"]
    hat, color = factors["hat"], factors["color"]
    # It has to be seen in `a`, and learned from `plus`: a quarter of the triples.
    seen = hat["floor"]["count"]
    assert 10 < seen < 40
    for measure in (hat["floor"], hat["ceiling"], *hat["layers"]["all"].values()):
        assert measure["count"] == seen
        assert (
            measure["note"] == f"{100 - seen} of 100 triples change hardly a pixel and are left out"
        )
    assert hat["layers"]["all"]["gap"]["value"] == pytest.approx(0, abs=1e-5)
    # Only red to blue and back, a third of the pairs, is eight levels.
    assert 15 < color["ceiling"]["count"] < 50
    assert color["ceiling"]["value"] == pytest.approx(8 / 255, abs=1e-6)

    def unseen(faces):
        return render({**faces, "hat": 0 * faces["hat"]})

    hat = known_arithmetic(encode, decode, unseen, TABLE, read)["factors"]["hat"]
    for measure in (hat["floor"], hat["ceiling"], *hat["layers"]["all"].values()):
        assert math.isnan(measure["value"])
        assert math.isnan(measure["standard_error"])
        assert measure["count"] == 0
        assert "100 of 100 triples" in measure["note"]


def test_one_triple_has_no_standard_error_and_a_factor_alone_no_others():
    table = {"light": TABLE["light"]}

    def faces(factors):
        return (
            np.full((1, 3, 3, 1), 40, np.uint8)
            * (factors["light"] + 3).astype(np.uint8)[:, None, None, None]
        )

    def encode_pixels(images):
        return with_deviations({"z_1": images.reshape(len(images), -1)})

    result = known_arithmetic(
        encode_pixels,
        lambda codes: codes["z_1"].reshape(-1, 3, 3, 1),
        faces,
        table,
        lambda images: {"light": 255 / 40 * images[:, 0, 0, 0] - 3},
        triples=1,
        seed=4,
    )["factors"]["light"]
    assert list(result["layers"]) == ["z_1", "all"]
    measures = result["layers"]["all"]
    assert measures["gap"]["value"] == pytest.approx(0, abs=1e-6)
    assert math.isnan(measures["gap"]["standard_error"])
    assert "one triple" in measures["gap"]["note"]
    for key, kind in (("others_moved", "continuous"), ("others_kept", "categorical")):
        assert math.isnan(measures[key]["value"])
        assert measures[key]["note"] == f"there is no other {kind} factor"


def test_the_same_seed_gives_the_same_numbers():
    first, again, other = (
        known_arithmetic(encode, decode, render, TABLE, read, 20, seed) for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_a_factor_that_is_denser_in_the_middle_is_drawn_so():
    sizes = []

    def watch(factors):
        sizes.append(factors["size"].reshape(4, -1))  # a, minus, plus and the truth.
        return render(factors)

    table = {**TABLE, "size": dataclasses.replace(TABLE["size"], deviation=1.0)}
    known_arithmetic(encode, decode, watch, table, triples=1000)
    of_light, of_size = sizes[:2]
    for values in of_light:
        # The quartiles of a normal lie 0.674 deviations from its middle.
        assert np.quantile(values, [0.25, 0.75]) == pytest.approx([14.326, 15.674], abs=0.15)
    below = ndtr(of_size[[0, 2]] - 15)
    assert np.abs(below[0] - below[1]).min() > 0.2499


def test_synthetic_faces_can_be_drawn_from_their_table():
    def encode_pixels(images):
        return with_deviations({"z_1": images.reshape(len(images), -1)})

    result = known_arithmetic(
        encode_pixels,
        lambda codes: codes["z_1"].reshape(-1, 64, 64, 3),
        render_faces,
        FACTORS,
        triples=6,
    )
    assert list(result["factors"]) == list(FACTORS)
    # Adding pixels is right where both people show the wall, and wrong for a head that turns.
    gaps = {name: f["layers"]["all"]["gap"]["value"] for name, f in result["factors"].items()}
    assert gaps["background_brightness"] < 0.5 < 0.9 < gaps["yaw"]
    assert all(factor["floor"]["value"] == 0 for factor in result["factors"].values())


def test_known_arithmetic_refuses():
    def refused(message, render=render, encode=encode, decode=decode, table=TABLE, **others):
        with pytest.raises(InputError, match=message):
            known_arithmetic(encode, decode, render, table, **others)

    refused("not 0 and 4", triples=0)
    refused("not 100 and 0", table={})
    single = Factor("hat", "categorical", 0, 0, ("none",), "class", "")
    refused("hat has one value only", table={**TABLE, "hat": single})
    refused("float32", render=lambda factors: render(factors).astype(np.float32))
    refused("for 400 faces", render=lambda factors: render(factors)[1:])
    refused("400 images were encoded as 399", encode=lambda images: encode(images[1:]))
    refused("decoded to shape", decode=lambda codes: decode(codes)[:, 1:])
    refused("does not read hat", read=lambda images: {k: read(images)[k] for k in list(TABLE)[:3]})
    refused(r"size as \[100, 1\]", read=lambda images: {**read(images), "size": np.ones((100, 1))})
    refused(r"hat as \[100\]; .* \[100, 2\]", read=lambda i: {**read(i), "hat": np.ones(100)})


def test_the_overall_gap_lies_between_means_over_factors():
    overall = known_arithmetic(encode, decode, render, TABLE)["overall"]
    floor, ceiling = overall["floor"]["value"], overall["ceiling"]["value"]
    gaps = {name: measures["gap_of_means"] for name, measures in overall["layers"].items()}
    for name, gap in gaps.items():
        error = overall["layers"][name]["error"]["value"]
        assert gap["value"] == pytest.approx((error - floor) / (ceiling - floor))
    assert gaps["all"]["value"] == pytest.approx(0, abs=1e-3)
    assert gaps["z_1"]["value"] > 0.1
    assert gaps["z_1"]["standard_error"] > 0
