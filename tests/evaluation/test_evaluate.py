"""Evaluations of whole runs and exports, and the report."""

import json
import re

import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.config.settings import ModelConfig
from tf_mmdvlae.evaluation import families
from tf_mmdvlae.evaluation.case import Case, Part
from tf_mmdvlae.evaluation.classifier import load_classifier, train_classifier
from tf_mmdvlae.evaluation.evaluate import evaluate, export_subject, run_subject
from tf_mmdvlae.evaluation.families import METRICS
from tf_mmdvlae.evaluation.report.page import page
from tf_mmdvlae.evaluation.report.summary import summary, with_error
from tf_mmdvlae.model import latents
from tf_mmdvlae.model.directions import find_directions
from tf_mmdvlae.model.samplers import fit_samplers


@pytest.fixture(scope="module")
def evaluated(finished_run, tmp_path_factory):
    """(folder, evaluation) of the tiny run, all families."""
    folder = tmp_path_factory.mktemp("evaluation")
    return folder, evaluate(run_subject(finished_run[0]), folder)


def test_an_evaluation_holds_every_family_and_where_it_came_from(evaluated, finished_run):
    folder, evaluation = evaluated
    assert json.loads((folder / "evaluation.json").read_text()) == evaluation
    assert list(evaluation["metrics"]) == list(METRICS) == list(evaluation["seconds"])
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


def test_the_report_is_one_file_with_every_family(evaluated):
    text = (evaluated[0] / "report.html").read_text()
    for family in METRICS:
        assert f'id="{family}"' in text
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(sources) > 10
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert "independent factors are not known" in text
    for row in summary(evaluated[1]):
        assert row.title in text.replace("&#39;", "'")


def test_the_same_seed_gives_the_same_numbers(evaluated, finished_run, tmp_path):
    again = evaluate(
        run_subject(finished_run[0]), tmp_path, ["samples", "prior", "knowledge"], report=False
    )
    for name, result in again["metrics"].items():
        assert result == evaluated[1]["metrics"][name]
    assert not (tmp_path / "report.html").exists()
    assert list(again["metrics"]) == ["samples", "prior", "knowledge"]


def test_an_export_is_worth_what_its_run_is(evaluated, finished_run, run_config, tmp_path):
    subject = export_subject(
        finished_run[1],
        "image_folder",
        image_dir=run_config.data.image_dir,
        test_fraction=run_config.data.test_fraction,
    )
    found = evaluate(subject, tmp_path, ["reconstruction", "knowledge"], report=False)
    ours, its = found["metrics"], evaluated[1]["metrics"]
    assert ours["reconstruction"]["l1"]["value"] == pytest.approx(
        its["reconstruction"]["l1"]["value"], rel=1e-5
    )
    # The untrained encoder is made anew from the seed that the manifest keeps.
    assert ours["knowledge"]["untrained"] == its["knowledge"]["untrained"]


def test_a_wrong_name_is_told_before_anything_is_measured(finished_run, tmp_path):
    with pytest.raises(InputError, match="'fid' is not known. Known: reconstruction, samples"):
        evaluate(run_subject(finished_run[0]), tmp_path / "out", ["fid"])
    assert not (tmp_path / "out").exists()


def test_what_is_no_run_is_not_evaluated(tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        run_subject(tmp_path)


def test_a_classifier_judges_edits(finished_run, run_config, tmp_path):
    subject = run_subject(finished_run[0])
    folder = tmp_path / "classifier"
    train_classifier(run_config.data, (8, 8, 1), folder, steps=5, batch_size=8)
    found = evaluate(subject, tmp_path, ["samples", "arithmetic"], str(folder), str(folder))
    assert found["judge"] == str(folder)
    edits = found["metrics"]["arithmetic"]["edits"]
    assert set(edits["attributes"]) == {"class=even", "class=odd"}
    assert found["metrics"]["samples"]["dimensions"] == 128
    text = (tmp_path / "report.html").read_text()
    assert "class=odd" in text
    assert {row.key for row in summary(found)} >= {"edit_flipped", "frechet_prior"}


def test_a_classifier_of_another_image_size_is_refused(finished_run, picture_folder, tmp_path):
    from tf_mmdvlae.config.settings import DataConfig

    data = DataConfig(dataset="image_folder", image_dir=str(picture_folder), test_fraction=0.3)
    train_classifier(data, (16, 16, 1), tmp_path / "classifier", steps=2, batch_size=8)
    with pytest.raises(InputError, match="16, 16, 1"):
        evaluate(
            run_subject(finished_run[0]), tmp_path, ["arithmetic"], judge=tmp_path / "classifier"
        )


@pytest.fixture(scope="module")
def faces():
    """A case on drawn faces with a model that was not trained."""
    from tf_mmdvlae.data.faces.factors import sample_factors
    from tf_mmdvlae.data.faces.renderer import render
    from tf_mmdvlae.model.functions import mmd_to_prior, numpy_functions
    from tf_mmdvlae.model.mmdvlae import MMDVLAE

    config = ModelConfig(
        image_shape=(64, 64, 3),
        latent_dims=(2, 3),
        blocks=(("conv4/4",), ("conv4/4", "dense8")),
        head_width=0,
    )
    encode, decode = numpy_functions(MMDVLAE(config))
    parts = []
    for count, seed in ((80, 1), (60, 2)):
        factors = sample_factors(count, seed)
        parts.append(Part(render(factors), factors))
    means = encode(np.float32(parts[0].images) / 255)[0]
    fitted = fit_samplers(means)
    return Case(
        encode=encode,
        decode=decode,
        train=parts[0],
        test=parts[1],
        mmd_squared=mmd_to_prior(config),
        samplers={"prior": fitted.prior.sample, "joint": fitted.joint.sample},
        features=lambda images: images.reshape(len(images), -1)[:, ::512],
        factors=tuple(parts[1].labels),
        render=render,
        directions=find_directions(means, parts[0].labels),
        triples=2,
    )


def test_the_families_that_need_known_factors_work_on_drawn_faces(faces, tmp_path):
    from tf_mmdvlae.common.files import write_json
    from tf_mmdvlae.evaluation.report.pictures import draw_pictures

    metrics = {
        "disentanglement": families.factors(faces),
        "arithmetic": families.arithmetic(faces),
    }
    assert set(metrics["arithmetic"]["known"]["factors"]) == set(faces.test.labels)
    evaluation = {
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
        "metrics": metrics,
    }
    write_json(tmp_path / "evaluation.json", evaluation)
    drawn = draw_pictures(tmp_path, metrics, faces)
    text = page(json.loads((tmp_path / "evaluation.json").read_text()), drawn)
    assert "FactorVAE" in text
    assert "Ceiling: a reconstructed" in text
    assert text.count("data:image/svg+xml") == 3


def test_codes_are_computed_once(faces):
    calls = []

    def encode(images):
        calls.append(len(images))
        return faces.encode(images)

    import dataclasses

    case = dataclasses.replace(faces, encode=encode)
    assert latents.row_count(case.test_codes[0]) == 60
    assert case.test_codes[1]["z_2"].shape == (60, 3)
    assert calls == [60]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.18812, 0.0039, "0.1881 ± 0.0039"),
        (-1.5, 0.2, "\N{MINUS SIGN}1.50 ± 0.20"),
        (123.456, 12.3, "123 ± 12"),
        (0.5, None, "0.5"),
        (None, None, "\N{EN DASH}"),
        (float("nan"), 0.1, "\N{EN DASH}"),
    ],
)
def test_numbers_are_rounded_to_what_their_error_leaves_certain(value, error, text):
    assert with_error(value, error) == text


def test_a_saved_classifier_reads_the_labels_by_the_names_of_the_directions(run_config, tmp_path):
    train_classifier(run_config.data, (8, 8, 1), tmp_path / "c", steps=2, batch_size=8)
    judge = families._DirectionJudge(load_classifier(tmp_path / "c"))
    found = judge.predict(np.zeros((3, 8, 8, 1), np.float32))
    assert set(found) == {"class=even", "class=odd"}
    assert sum(found.values()) == pytest.approx(np.ones(3), abs=1e-5)
