"""The table of a comparison."""

import pytest

from tf_mmdvlae.config import get_config
from tf_mmdvlae.evaluation.compare import entry
from tf_mmdvlae.evaluation.report.comparison import markdown_table


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


def test_a_label_with_marks_stays_in_its_cell():
    rows = {"x": {"title": "accuracy, a|b*c*", "best": "", "mean": 1.0, "deviation": 0.0}}
    rows["x"] |= {"count": 1, "standard_error": 0.5}
    table = markdown_table({"models": {"vae": {"rows": rows}}})
    assert table.splitlines()[2] == r"| accuracy, a\|b\*c\* | 1.0 ± 0.5 |"
