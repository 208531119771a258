"""Evaluations of whole runs and exports, and the report."""

import dataclasses
import functools
import json
import re

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.data import pipeline
from tf_mmdvlae.evaluation.classifier import train_classifier
from tf_mmdvlae.evaluation.evaluate import _case, evaluate, export_subject, run_subject
from tf_mmdvlae.evaluation.families import FAMILIES, summary
from tf_mmdvlae.evaluation.features import feature_space


@pytest.fixture(scope="module")
def evaluated(finished_run, tmp_path_factory):
    """(folder, evaluation) of the tiny run, all families."""
    folder = tmp_path_factory.mktemp("evaluation")
    return folder, evaluate(run_subject(finished_run[0]), folder)


@pytest.mark.slow
def test_an_evaluation_holds_every_family_and_where_it_came_from(evaluated, finished_run):
    folder, evaluation = evaluated
    assert json.loads((folder / "evaluation.json").read_text()) == evaluation
    assert list(evaluation["metrics"]) == list(FAMILIES) == list(evaluation["seconds"])
    metrics = finished_run[2].metrics
    assert evaluation["test_images"] == metrics["test_images"]
    assert evaluation["trained"]["steps"] == 12
    assert evaluation["features"]["name"] == "pixels"
    assert evaluation["versions"]["tf_mmdvlae"]
    for name in ("l1", "mse"):
        ours, its = evaluation["metrics"]["reconstruction"][name], metrics["test"][name]
        assert ours["value"] == pytest.approx(its["value"], rel=1e-5)
        assert ours["count"] == its["count"]
    ours = evaluation["metrics"]["knowledge"]["trained"]["class"]["neighbours"]
    for layer, its in metrics["probes"]["class"]["layers"].items():
        assert ours[layer]["value"] == its["value"]


@pytest.mark.slow
def test_the_report_is_one_file_with_every_family(evaluated):
    text = (evaluated[0] / "report.html").read_text()
    for family in FAMILIES:
        assert f'id="{family}"' in text
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(sources) > 10
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert "independent factors are not known" in text
    for row in summary(evaluated[1]):
        assert row.title in text.replace("&#39;", "'")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(evaluated, finished_run, tmp_path):
    again = evaluate(
        run_subject(finished_run[0]), tmp_path, ["samples", "prior", "knowledge"], report=False
    )
    for name, result in again["metrics"].items():
        assert result == evaluated[1]["metrics"][name]
    assert not (tmp_path / "report.html").exists()
    assert list(again["metrics"]) == ["samples", "prior", "knowledge"]


@pytest.mark.slow
def test_an_export_measures_the_same_as_its_run(evaluated, finished_run, run_config, tmp_path):
    # The split is that of the run, which the manifest records.
    subject = export_subject(finished_run[1], "image_folder", image_dir=run_config.data.image_dir)
    again = evaluate(subject, tmp_path, ["reconstruction", "knowledge"], report=False)
    ours, its = again["metrics"], evaluated[1]["metrics"]
    assert ours["reconstruction"]["l1"]["value"] == pytest.approx(
        its["reconstruction"]["l1"]["value"], rel=1e-5
    )
    # The untrained encoder is made anew from the seed that the manifest keeps.
    assert ours["knowledge"]["untrained"] == its["knowledge"]["untrained"]


def test_an_unknown_metric_is_refused_before_anything_is_measured(finished_run, tmp_path):
    with pytest.raises(InputError, match="'fid' is not known. Known: reconstruction, samples"):
        evaluate(run_subject(finished_run[0]), tmp_path / "out", ["fid"])
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_found_before_anything_is_measured(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write to"):
        # Nobody looks at what is to be measured.
        evaluate(None, tmp_path / "file" / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        run_subject(tmp_path)


@pytest.mark.slow
def test_a_classifier_judges_edits(finished_run, run_config, tmp_path):
    subject = run_subject(finished_run[0])
    folder = tmp_path / "classifier"
    train_classifier(run_config.data, (8, 8, 1), folder, steps=5, batch_size=8)
    evaluation = evaluate(subject, tmp_path, ["samples", "arithmetic"], str(folder), str(folder))
    assert evaluation["judge"] == str(folder)
    edits = evaluation["metrics"]["arithmetic"]["edits"]
    assert set(edits["attributes"]) == {"class=even", "class=odd"}
    retouches = evaluation["metrics"]["arithmetic"]["retouches"]["overall"]
    assert [point["strength"] for point in retouches] == [-2, -1, 0, 1, 2]
    assert evaluation["metrics"]["samples"]["dimensions"] == 128
    text = (tmp_path / "report.html").read_text()
    assert "class=odd" in text
    assert "Retouches" in text
    assert {row.key for row in summary(evaluation)} >= {"edit_flipped", "frechet_prior"}


@pytest.mark.slow
def test_a_classifier_of_another_image_size_is_refused(finished_run, picture_folder, tmp_path):
    from tf_mmdvlae.config.settings import DataConfig

    data = DataConfig(dataset="image_folder", image_dir=str(picture_folder), test_fraction=0.3)
    train_classifier(data, (16, 16, 1), tmp_path / "classifier", steps=2, batch_size=8)
    with pytest.raises(InputError, match="16, 16, 1"):
        evaluate(
            run_subject(finished_run[0]), tmp_path, ["arithmetic"], judge=tmp_path / "classifier"
        )


@pytest.mark.parametrize(
    ("dataset", "known"), [("synthetic_faces", True), ("synthetic_faces:1.0.0", False)]
)
def test_only_the_faces_that_are_drawn_today_have_a_known_answer(
    finished_run, monkeypatch, dataset, known
):
    subject = run_subject(finished_run[0])
    pictures = functools.partial(pipeline.load_split, subject.data)
    monkeypatch.setattr(
        "tf_mmdvlae.data.pipeline.load_split", lambda data, shape, split: pictures(shape, split)
    )
    data = dataclasses.replace(subject.data, dataset=dataset)
    case = _case(
        dataclasses.replace(subject, data=data), feature_space("pixels", (8, 8, 1)), None, 0, None
    )
    assert (case.render is not None) == known
    assert case.factors == tuple(case.test.labels)
