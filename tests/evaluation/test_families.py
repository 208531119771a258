"""The table of the families, and what they measure of a case."""

import dataclasses

import numpy as np
import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.evaluation.families import FAMILIES, family


def test_families_are_looked_up_by_name():
    for name, entry in FAMILIES.items():
        assert family(name) is entry
    with pytest.raises(InputError, match="reconstruction, samples, prior"):
        family("fid")


@pytest.mark.slow
def test_families_do_not_encode_the_images_again(faces):
    def encode(images):
        raise AssertionError("images are encoded again")

    samplers = {"prior": faces.samplers["prior"]}
    case = dataclasses.replace(faces, encode=encode, samplers=samplers)
    assert set(FAMILIES["prior"].measure(case)["layers"]) == {"z_1", "z_2", "all"}
    assert set(FAMILIES["samples"].measure(case)["rows"]) == {
        "prior",
        "reconstructions",
        "training images",
    }


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("disentanglement", {"factors": ()}, "factors are not known"),
        ("arithmetic", {"render": None}, "no classifier judges the edits"),
        ("knowledge", {"test": {"labels": {}}}, "no labels"),
        ("semi_supervised", {"test": {"labels": {}}}, "no classes or attributes"),
        ("samples", {"test": {"images": np.zeros((3, 64, 64, 3), np.uint8)}}, "there are 3 images"),
    ],
)
def test_a_family_that_the_data_do_not_allow_says_why(faces, name, changes, reason):
    if "test" in changes:
        changes = {"test": dataclasses.replace(faces.test, **changes["test"])}
    result = FAMILIES[name].measure(dataclasses.replace(faces, **changes))
    assert reason in result["skipped"]


def test_images_without_a_value_are_left_out_of_a_few_labels(faces):
    parts = {}
    for name, part in (("train", faces.train), ("test", faces.test)):
        labels = {
            "smiling": np.where(np.arange(len(part.images)) < 10, -1, part.labels["smile"] > 0),
            "unknown": np.full(len(part.images), -1),
        }
        labels = {name: values.astype(np.int8) for name, values in labels.items()}
        parts[name] = dataclasses.replace(part, labels=labels)
    result = FAMILIES["semi_supervised"].measure(dataclasses.replace(faces, **parts))
    assert list(result) == ["smiling"]
    assert {estimate["count"] for estimate in result["smiling"].values()} == {50}
