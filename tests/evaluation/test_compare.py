"""The model beside its relatives."""

import json

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.evaluation.compare import compare


@pytest.mark.slow
def test_a_comparison_trains_measures_and_goes_on_where_it_stopped(run_config, tmp_path):
    models, metrics = ("vae", "mmd_vae"), ["reconstruction", "knowledge"]
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
    assert table[0] == "|  | vae | mmd_vae |"
    assert table[2].startswith("| reconstruction, L1 ↓ |")
    assert table[2].count("**") == 2
    text = (tmp_path / "comparison.html").read_text()
    assert text.count("data:image/png") == 6
    assert "Draws from the prior" in text


def test_an_unknown_model_or_preset_is_refused_before_training(run_config, tmp_path):
    with pytest.raises(InputError, match="gan.*Known: vae, .*paper"):
        compare(run_config, tmp_path, ("gan",))
    with pytest.raises(InputError, match="no preset 'paper'"):
        compare(run_config, tmp_path, ("vae", "paper"))
    assert not (tmp_path / "vae").exists()
