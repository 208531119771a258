import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.figures import drawing, losses, plots, run
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.functions import BATCH

SHAPE = (10, 8, 1)


def decode_values(codes):
    """Images whose first pixels hold the codes themselves, [-3, 3] mapped to [0, 1]."""
    joined = latents.join(codes)
    images = np.full((len(joined), *SHAPE), 0.5, np.float32)
    images.reshape(len(joined), -1)[:, : joined.shape[1]] = joined / 6 + 0.5
    return images


def values_of(images, index):
    flat = images.reshape(*images.shape[:-3], -1)
    return flat[..., index] * 6 - 3


def encode_for(dims):
    def encode(images):
        flat = images.reshape(len(images), -1)
        starts = np.cumsum([0, *dims])
        means = {
            f"z_{i + 1}": (flat[:, starts[i] : starts[i + 1]] * 6 - 3) for i in range(len(dims))
        }
        return means, {name: np.full_like(mean, 0.1) for name, mean in means.items()}

    return encode


def history(layers, steps=20):
    record = {"step": list(range(100, 100 * steps + 1, 100)), "other": [1.0] * steps}
    for name in ("loss", "reconstruction", "mmd_joint"):
        record[name] = list(np.geomspace(1, 0.01, steps))
    for layer in range(1, layers + 1):
        record[f"mmd_{layer}"] = list(np.geomspace(1, 0.01, steps) - 0.02)
        record[f"deviation_{layer}"] = list(np.linspace(0.9, 0.1, steps))
    record["val_loss"] = [None if step % 500 else 0.5 for step in record["step"]]
    return record


def pixels(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


# ---- arrays ----------------------------------------------------------------------------------


def test_manifold_tiles_lie_where_a_plot_has_them():
    base = latents.sample_prior((2, 3, 1), 1, seed=0)
    images, values = run.manifold_tiles(decode_values, base, 2, (2, 0))
    assert images.shape == (13, 13, *SHAPE)
    np.testing.assert_allclose(values, np.arange(-3, 3.1, 0.5))
    for row in range(13):
        np.testing.assert_allclose(values_of(images, 4)[row], values, atol=1e-5)
        np.testing.assert_allclose(values_of(images, 2)[:, row], values[::-1], atol=1e-5)
    for index in (0, 1, 3, 5):
        np.testing.assert_allclose(
            values_of(images, index), np.clip(latents.join(base)[0, index], -3, 3), atol=1e-5
        )


def test_manifold_of_one_dimension_is_one_row():
    images, values = run.manifold_tiles(decode_values, latents.zeros((1, 2)), 1, (0,))
    assert images.shape[:2] == (1, len(values))
    np.testing.assert_allclose(values_of(images, 0)[0], values, atol=1e-5)


def test_traversal_tiles_start_from_the_base():
    base = {"z_1": [[1.0, 2.0]], "z_2": [[-1.0]]}
    images = run.traversal_tiles(decode_values, base, 1, [1, 0], [-3, 0, 3])
    np.testing.assert_allclose(values_of(images, 1), [[2, -3, 0, 3], [2, 2, 2, 2]], atol=1e-5)
    np.testing.assert_allclose(values_of(images, 0), [[1, 1, 1, 1], [1, -3, 0, 3]], atol=1e-5)
    np.testing.assert_allclose(values_of(images, 2), -1, atol=1e-5)


def test_layer_tiles_change_one_layer_a_row():
    base = {"z_1": [[0.5]], "z_2": [[-0.5]], "z_3": [[1.0]]}
    images = run.layer_tiles(decode_values, base, columns=6, seed=2)
    assert images.shape == (3, 7, *SHAPE)
    for layer, start in enumerate((0.5, -0.5, 1.0)):
        shown = values_of(images, layer)
        np.testing.assert_allclose(np.delete(shown, layer, axis=0), start, atol=1e-5)
        assert shown[layer, 0] == pytest.approx(start, abs=1e-5)
        assert len(np.unique(shown[layer, 1:])) == 6


def test_tiles_start_from_one_code_only():
    with pytest.raises(InputError, match="One code"):
        run.layer_tiles(decode_values, latents.zeros((1, 1), 2), columns=3)


def test_mosaic_places_its_tiles():
    tiles = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1, 1) * np.ones((4, 5, 1), np.float32)
    picture = drawing.mosaic(tiles / 10, gap=2)
    assert picture.pixels.shape == (4 + 2 + 4, 5 + 2 + 5 + 2 + 5, 1)
    np.testing.assert_allclose(picture.pixels[6:, 7:12], 0.4)
    np.testing.assert_allclose(picture.pixels[4:6], 1)
    assert picture.row_centres == [1.5, 7.5]
    assert picture.column_centres == [2, 9, 16]
    apart = drawing.mosaic(tiles / 10, gap=2, columns_apart=(0,))
    assert apart.column_centres[1] - apart.column_centres[0] > 7
    assert apart.column_centres[2] - apart.column_centres[1] == 7


def test_decoding_in_batches_keeps_the_order_and_clips():
    sizes = []

    def decode(codes):
        sizes.append(len(codes["z_1"]))
        return decode_values(codes)

    values = np.linspace(-4, 4, 2 * BATCH + 3)
    images = run.decode_images(decode, {"z_1": values[:, None]})
    assert sizes == [BATCH, BATCH, 3]
    np.testing.assert_allclose(values_of(images, 0), np.clip(values, -3, 3), atol=1e-5)


def test_decoding_refuses_what_are_not_images():
    codes = latents.zeros((2,), 3)
    with pytest.raises(InputError, match="shape"):
        run.decode_images(lambda codes: np.zeros((2, 4, 4, 1)), codes)
    with pytest.raises(InputError, match="finite"):
        run.decode_images(lambda codes: np.full((3, 4, 4, 1), np.nan), codes)


@pytest.mark.parametrize("side", [1, 8, 28, 32, 64, 100, 128, 256, 1000])
def test_every_image_is_shown_at_a_readable_size(side):
    assert 80 <= drawing.zoom((side, side, 3)) * side <= 130


# ---- files -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("dims", [(1,), (2, 3, 12, 2)])
def test_draw_all_writes_every_picture(tmp_path, dims):
    images = decode_values(latents.sample_prior(dims, 40, seed=3))
    layers = len(dims)
    fade_in = tuple((500 * (layers - layer), 0) for layer in range(1, layers + 1))
    paths = run.draw_all(
        tmp_path / "new" / "figures",
        encode_for(dims),
        decode_values,
        images,
        history(layers),
        fade_in,
    )
    expected = {"samples.png", "reconstructions.png", "layers.png", "losses.png"} | {
        f"{kind}_layer_{layer}.png"
        for kind in ("manifold", "traversal")
        for layer in range(1, layers + 1)
    }
    assert {path.name for path in paths} == expected
    assert {path.name for path in (tmp_path / "new" / "figures").iterdir()} == expected
    for path in paths:
        height, width, _ = pixels(path).shape
        assert 700 <= width <= 3000
        assert 150 <= height <= 2500


def test_draw_all_from_one_image_without_a_history(tmp_path):
    images = decode_values(latents.zeros((2, 2)))
    paths = run.draw_all(tmp_path, encode_for((2, 2)), decode_values, images)
    assert len(paths) == 7
    assert not (tmp_path / "losses.png").exists()


def test_draw_all_traverses_the_ten_most_active_dimensions(tmp_path):
    """A traversal decodes, for each dimension in turn, the start and seven values."""
    means = latents.sample_prior((12,), 50, seed=0)
    means["z_1"] *= np.linspace(0.1, 1, 12, dtype=np.float32)[::-1]
    calls = []

    def decode(codes):
        calls.append(codes["z_1"])
        return decode_values(codes)

    run.draw_all(tmp_path, lambda images: (means, means), decode, np.zeros((50, *SHAPE)))
    (traversal,) = (codes.reshape(10, 8, 12) for codes in calls if len(codes) == 80)
    changed = [np.flatnonzero((row != row[0]).any(axis=0)).tolist() for row in traversal]
    assert changed == [[dim] for dim in latents.most_active(means, 1)[:10]]


def test_pictures_show_the_decoder(tmp_path):
    base = latents.zeros((2,))

    def inverse(codes):
        return 1 - decode_values(codes)

    draw = run.draw_manifold
    one = pixels(draw(tmp_path / "one.png", decode_values, base, 1, (0, 1), "zero"))
    same = pixels(draw(tmp_path / "same.png", decode_values, base, 1, (0, 1), "zero"))
    other = pixels(draw(tmp_path / "other.png", inverse, base, 1, (0, 1), "zero"))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_pixels_are_enlarged_to_squares_of_their_own_colour(tmp_path):
    tile = np.zeros((1, 1, 2, 2, 3), np.float32)
    tile[0, 0, 0, 0], tile[0, 0, 1, 1] = (1, 0, 0), (0, 0, 1)
    path = tmp_path / "tile.png"
    drawing.save_mosaic(path, tile, "Title", "Explanation.")
    shown = pixels(path)
    for colour in ((255, 0, 0), (0, 0, 255)):
        rows, columns = np.nonzero((shown == colour).all(axis=-1))
        assert len(rows) == 40 * 40
        assert np.ptp(rows) == np.ptp(columns) == 39


def test_reconstructions_refuse_what_does_not_match(tmp_path):
    with pytest.raises(InputError, match="cannot be drawn"):
        run.draw_reconstructions(tmp_path / "r.png", np.ones((3, *SHAPE)), np.ones((2, *SHAPE)))
    with pytest.raises(InputError, match="cannot be drawn"):
        run.draw_all(tmp_path, encode_for((2,)), decode_values, np.ones((0, *SHAPE)))
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_former_picture(tmp_path):
    path = tmp_path / "samples.png"
    run.draw_samples(path, decode_values, (2,))
    before = path.read_bytes()

    class FullDisk(Figure):
        def savefig(self, target, **_):
            with open(target, "wb") as file:
                file.write(b"half a picture")
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="No space left"):
        drawing.save_figure(FullDisk(), path, "Title", "Explanation.")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "figures").write_text("in the way")
    with pytest.raises(InputError, match="figures"):
        run.draw_samples(tmp_path / "figures" / "samples.png", decode_values, (2,))


# ---- losses ----------------------------------------------------------------------------------


def test_loss_panels_are_grouped_with_layers_in_order():
    names = [[name for name, *_ in row] for row in losses.panels(history(4))]
    assert names == [
        ["loss", "reconstruction", "mmd_joint"],
        ["mmd_1", "mmd_2", "mmd_3", "mmd_4"],
        ["deviation_1", "deviation_2", "deviation_3", "deviation_4"],
    ]
    many = [panel for row in losses.panels(history(12)) for panel in row]
    layers = [layer for name, _, layer in many if name.startswith("mmd_") and layer]
    assert layers == list(range(1, 13))
    titles = {name: title for name, title, _ in many}
    assert re.match(r"Layer 1 \(lowest\)", titles["mmd_1"])
    assert re.match(r"Layer 12 \(highest\)", titles["mmd_12"])


def test_a_quantity_with_validation_values_only_has_a_panel():
    assert [[name for name, *_ in row] for row in losses.panels({"val_l1": [1.0]})] == [["l1"]]


def test_training_and_held_out_images_share_a_panel(tmp_path):
    values = {"step": [1, 2, 3], "reconstruction": [3.0, 2.0, 1.0]}
    alike = {"train_reconstruction": [None, 2.5, 0.9], "val_reconstruction": [None, 2.6, 2.2]}
    assert [len(row) for row in losses.panels({**values, **alike})] == [1]
    pictures = [
        pixels(run.draw_losses(tmp_path / "losses.png", {**values, **more}))
        for more in ({}, {"val_reconstruction": alike["val_reconstruction"]}, alike)
    ]
    # Matplotlib's orange and blue.
    orange, blue = (
        [int((picture[..., :3] == colour).all(axis=-1).sum()) for picture in pictures]
        for colour in ((255, 127, 14), (31, 119, 180))
    )
    assert orange[0] == 0 < orange[1]
    assert blue[1] < blue[2]


def test_curves_leave_out_what_is_not_known():
    record = {"step": [1, 2, 3, 4], "loss": [None, 0.5, float("nan"), 0.25]}
    steps, values = losses.curve(record, "loss")
    assert steps.tolist() == [2, 4]
    assert values.tolist() == [0.5, 0.25]
    with pytest.raises(InputError, match="3 values of loss for 4 steps"):
        losses.curve({**record, "loss": [1, 2, 3]}, "loss")


def test_losses_draw_their_curves_and_fade_in(tmp_path):
    falling = {"step": [1, 2, 3], "mmd_1": [3.0, 2.0, 1.0], "mmd_2": [1.0, 1.0, 1.0]}
    rising = {**falling, "mmd_1": [1.0, 2.0, 3.0]}
    plain, other, faded, unfaded = (
        pixels(run.draw_losses(tmp_path / "losses.png", record, fade_in))
        for record, fade_in in (
            (falling, None),
            (rising, None),
            (falling, ((2, 3), (0, 0))),
            (falling, ((0, 0), (0, 0))),
        )
    )
    assert (plain != other).any()
    assert plain.shape != faded.shape or (plain != faded).any()
    np.testing.assert_array_equal(plain, unfaded)


@pytest.mark.parametrize(
    "values", [[0.0, 0.0, 0.0], [1e-8, 1e8, 1.0], [-1.0, -2.0, -3.0], [None] * 3, [5.0, 0.0, 0.0]]
)
def test_losses_of_any_values_are_drawn(tmp_path, values):
    record = {"step": [0, 1, 2], "mmd_1": values}
    assert pixels(run.draw_losses(tmp_path / "losses.png", record)).size


def test_losses_refuse_an_empty_history(tmp_path):
    for record in ({}, {"step": [1]}, {"loss": [1.0]}):
        with pytest.raises(InputError, match="step"):
            run.draw_losses(tmp_path / "losses.png", record)


ODD = r"$\nosuch{ <b>&`_"


def test_a_dollar_in_a_name_is_no_formula(tmp_path):
    """Matplotlib refuses this one as a formula."""
    images = np.zeros((1, 2, *SHAPE))
    drawing.save_mosaic(
        tmp_path / "mosaic.png", images, ODD, ODD, row_labels=[ODD], column_labels=[ODD] * 2
    )
    drawing.save_mosaic(tmp_path / "plain.png", images, "x", "x")
    assert pixels(tmp_path / "mosaic.png").shape[1] > pixels(tmp_path / "plain.png").shape[1]
    for svg in (
        plots.heat_map([[0.5]], [ODD], [ODD]),
        plots.bars([ODD], {ODD: [0.5]}, ODD, {}),
        plots.curves([0, 1], {ODD: [0, 1]}, ODD, ODD),
    ):
        assert svg.startswith("<?xml")


def test_dimensions_move_there_and_back_in_their_own_tiles(tmp_path, monkeypatch):
    saved = {}
    monkeypatch.setattr(
        run,
        "save_moving_mosaic",
        lambda *arguments, **labels: saved.update(frames=arguments[1], **labels),
    )
    means = latents.sample_prior((2, 3), 50, seed=0)
    means["z_2"][:, 1] *= 2
    base = {"z_1": [[1.0, 2.0]], "z_2": [[-1.0, 0.0, 1.0]]}
    run.draw_dimensions(tmp_path / "x.gif", decode_values, means, base)
    frames = saved["frames"]
    assert frames.shape[1:] == (2, 3, *SHAPE)
    moving = values_of(frames, 3)
    # The most active dimension of layer 2 comes first, and moves alone.
    np.testing.assert_allclose(moving[[0, 10, 20], 1, 0], [-3, 0, 3], atol=1e-5)
    np.testing.assert_allclose(moving[:, 0, :2], 0, atol=1e-5)
    np.testing.assert_allclose(values_of(frames, 0)[:, 1], 1, atol=1e-5)
    # Layer 1 has no third dimension.
    assert (frames[:, 0, 2] == 1).all()
