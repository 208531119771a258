"""The page of an evaluation."""

import json

import pytest

from tf_mmdvlae.common.files import write_json
from tf_mmdvlae.evaluation.families import FAMILIES, Family, summary
from tf_mmdvlae.evaluation.report.key_numbers import reader
from tf_mmdvlae.evaluation.report.page import page
from tf_mmdvlae.evaluation.report.pictures import draw_pictures
from tf_mmdvlae.metrics.estimates import estimate

EVALUATION = {
    "subject": "faces",
    "dataset": "synthetic_faces",
    "config": {"latent_dims": [2, 3]},
    "trained": {"steps": None},
    "test_images": 60,
    "train_images": 80,
    "test_split": "test",
    "seed": 0,
    "features": {"name": "pixels", "description": "every 512th"},
    "judge": None,
    "versions": {"tf_mmdvlae": "0"},
    "commit": None,
    "seconds": {"arithmetic": 1.0},
}


@pytest.mark.slow
def test_the_families_that_need_known_factors_are_reported_on_drawn_faces(faces, tmp_path):
    metrics = {name: FAMILIES[name].measure(faces) for name in ("disentanglement", "arithmetic")}
    assert set(metrics["arithmetic"]["known"]["factors"]) == set(faces.test.labels)
    write_json(tmp_path / "evaluation.json", EVALUATION | {"metrics": metrics})
    pictures = draw_pictures(tmp_path, metrics, faces)
    text = page(json.loads((tmp_path / "evaluation.json").read_text()), pictures)
    assert "FactorVAE" in text
    assert "Ceiling: a reconstructed" in text
    assert text.count("data:image/svg+xml") == 3


def test_a_new_family_needs_one_line_of_the_table(monkeypatch):
    def measure(case):
        return {"edges": {"of_faces": estimate(0.25, 0.01, 50)}, "bins": 3}

    numbers = reader(("edges", "sharpness <edges>", "edges/of_faces", "high", "1 for photographs"))
    monkeypatch.setitem(FAMILIES, "sharpness", Family("Sharpness", measure, numbers))
    evaluation = EVALUATION | {"metrics": {"sharpness": measure(None)}}
    assert [number.text() for number in summary(evaluation)] == ["0.250 ± 0.010"]
    text = page(evaluation, {})
    assert "sharpness &lt;edges&gt;" in text
    assert '<h2 id="sharpness">Sharpness</h2>' in text
    assert '<td>edges, of faces</td><td class="n">0.250 ± 0.010</td>' in text


@pytest.mark.parametrize(
    ("chosen_on", "images"), [("test", "the first test images"), ("validation", "held-out images")]
)
def test_the_page_says_which_images_ended_the_run(chosen_on, images):
    trained = {"steps": 800, "stopped_at": 1600, "planned_steps": 4000, "chosen_on": chosen_on}
    text = page(EVALUATION | {"trained": trained, "metrics": {}}, {})
    assert f"800 steps (the best on {images}; the run took 1,600 of 4,000)" in text


def test_names_are_no_html():
    odd = "<script>alert(1)</script>"

    def numbers(key):
        return {key: {**estimate(0.5, 0.1, 9)}}

    metrics = {
        "semi_supervised": {odd: numbers("labels_100"), "b": numbers("labels_100")},
        "reconstruction": {"skipped": odd},
    }
    text = page(EVALUATION | {"metrics": metrics, "subject": odd, "dataset": odd}, {})
    assert "<script" not in text
    assert "&lt;script&gt;" in text
