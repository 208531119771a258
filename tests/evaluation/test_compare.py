"""The model beside its relatives."""

import json

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config
from tf_mmdvlae.config.relatives import RELATIVES, relative
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.evaluation.compare import compare, entry
from tf_mmdvlae.evaluation.report.comparison import markdown_table


def test_the_relatives_share_network_data_steps_and_total_latent_size():
    config = get_config("mnist")
    for name in RELATIVES:
        other = relative(config, name)
        assert other.data == config.data
        assert other.model.blocks == config.model.blocks
        assert sum(other.model.latent_dims) == sum(config.model.latent_dims)
        assert other.train.steps == config.train.steps
        assert other.train.progressive == (name in ("mmd_vlae_progressive", "mmd_vlae_nested"))
        layers = 1 if name in ("vae", "mmd_vae") else 3
        assert len(other.model.latent_dims) == layers
        has_kl = name in ("vae", "vlae")
        assert other.model.layer_kl_weights == (1.0 if has_kl else 0.0,) * layers
        assert other.model.layer_mmd_weights == (0.0 if has_kl else 100.0,) * layers
        if has_kl:
            assert other.model.effective_reconstruction_weight == 784
            assert other.model.effective_joint_mmd_weight == 0
        # Each of the last three adds something to the one before; the last is the preset itself.
        share = config.model.nested_dropout if name == "mmd_vlae_nested" else 0.0
        assert other.model.nested_dropout == share
    assert relative(config, "mmd_vlae_nested") == config
    # A preset without it gets a share of its own.
    assert relative(get_config("celeb_a"), "mmd_vlae_nested").model.nested_dropout > 0


def test_weights_of_each_layer_become_the_highest_ones_weight():
    import dataclasses

    config = get_config("mnist")
    model = dataclasses.replace(config.model, mmd_weights=(10.0, 20.0, 30.0))
    config = dataclasses.replace(config, model=model)
    assert relative(config, "mmd_vae").model.layer_mmd_weights == (30.0,)
    assert isinstance(relative(config, "vae").model, ModelConfig)


def test_an_unknown_relative_lists_the_known_ones():
    with pytest.raises(InputError, match="Known: vae, mmd_vae"):
        relative(get_config("mnist"), "gan")


def test_a_comparison_trains_measures_and_goes_on_where_it_stopped(run_config, tmp_path):
    models, metrics = ("vae", "mmd_vlae_progressive"), ["reconstruction", "knowledge"]
    first = compare(run_config, tmp_path, models[:1], metrics=metrics)
    entry = first["models"]["vae"]
    assert entry["latent_dims"] == [5]
    assert entry["rows"]["l1"]["count"] == 1
    assert "accuracy_all" in entry["rows"]
    assert "accuracy_z_1" not in entry["rows"]
    file = tmp_path / "vae" / "seed_0" / "comparison" / "evaluation.json"
    written = file.stat().st_mtime_ns
    both = compare(run_config, tmp_path, models, metrics=metrics)
    assert file.stat().st_mtime_ns == written
    assert both["models"]["vae"]["rows"]["l1"]["mean"] == entry["rows"]["l1"]["mean"]
    assert json.loads((tmp_path / "comparison.json").read_text())["seeds"] == 1
    table = (tmp_path / "comparison.md").read_text().splitlines()
    assert table[0] == "|  | vae | mmd_vlae_progressive |"
    assert table[2].startswith("| reconstruction, L1 ↓ |")
    assert table[2].count("**") == 2
    text = (tmp_path / "comparison.html").read_text()
    assert text.count("data:image/png") == 6
    assert "Draws from the prior" in text


def test_the_table_gives_means_and_deviations_over_seeds_and_marks_the_best():
    def evaluation(l1):
        estimate = {"value": l1, "standard_error": 0.001, "count": 9}
        terms = dict.fromkeys(("l1", "mse", "psnr", "ssim"), estimate)
        return {"subject": "run", "metrics": {"reconstruction": terms}}

    config = get_config("mnist")
    models = {
        "vae": entry("vae", [evaluation(0.1), evaluation(0.2)], config),
        "vlae": entry("vlae", [evaluation(0.3), evaluation(0.3)], config),
    }
    row = models["vae"]["rows"]["l1"]
    assert (row["mean"], row["count"]) == (pytest.approx(0.15), 2)
    assert row["deviation"] == pytest.approx(0.1 / 2**0.5)
    lines = markdown_table({"models": models}).splitlines()
    assert lines[2] == "| reconstruction, L1 ↓ | **0.15 ± 0.07** | 0.3 |"
    # Of the similarity more is better.
    assert lines[5] == "| reconstruction, SSIM ↑ | 0.15 ± 0.07 | **0.3** |"


def test_a_model_or_preset_that_is_not_there_is_told_before_training(run_config, tmp_path):
    with pytest.raises(InputError, match="gan.*Known: vae, .*paper"):
        compare(run_config, tmp_path, ("gan",))
    with pytest.raises(InputError, match="no preset 'paper'"):
        compare(run_config, tmp_path, ("vae", "paper"))
    assert not (tmp_path / "vae").exists()
