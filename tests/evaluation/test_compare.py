"""The model beside its relatives."""

import json

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config import get_config
from tf_mmdvlae.evaluation.compare import compare, entry
from tf_mmdvlae.evaluation.report.comparison import markdown_table


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
