"""Exports that can't be loaded, and what is known of one before it is."""

import json
import shutil

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.serving.loaded import load, manifest_of


@pytest.fixture
def export(finished_run, tmp_path):
    return shutil.copytree(finished_run[1] / "1", tmp_path / "export" / "1")


def half(content):
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("saved_model.pb", half, "The SavedModel in .* cannot be loaded"),
        ("saved_model.pb", lambda _: b"", "The SavedModel in .* cannot be loaded"),
        ("variables/variables.data-00000-of-00001", half, "The SavedModel in .* cannot be loaded"),
        ("assets.extra/manifest.json", half, "manifest.json cannot be read .*bin/export write ex"),
        ("assets.extra/manifest.json", lambda _: b"[]", "it holds no JSON object"),
        ("assets.extra/manifest.json", lambda _: b"[" * 100_000, "it is nested too deeply"),
        ("assets.extra/manifest.json", lambda _: b"{}", "it lacks 'image_shape'"),
    ],
)
def test_a_damaged_export_is_refused_in_a_line(export, name, damage, message):
    path = export / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=message) as error:
        load(export.parent)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", 0),
        ("format", None),
        ("image_shape", [8, 8]),
        ("image_shape", [8, -8, 1]),
        ("image_shape", [8, 8, 2]),
        ("latent_dims", []),
        ("latent_dims", [2, 0]),
        ("crop", -1),
        ("crop", 1.5),
        ("crop", float("nan")),
    ],
)
def test_a_manifest_with_values_that_mean_nothing_is_refused(export, name, value):
    path = export / "assets.extra" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(InputError, match=rf"manifest.json .*{name}") as error:
        manifest_of(export)
    assert len(str(error.value).splitlines()) == 1


def test_a_damaged_fingerprint_is_passed_over(export, caplog):
    path = export / "fingerprint.pb"
    path.write_bytes(half(path.read_bytes()))
    load(export)
    assert not caplog.records


def test_a_manifest_is_read_without_the_model(export):
    (export / "saved_model.pb").write_bytes(b"")
    content = json.loads((export / "assets.extra" / "manifest.json").read_text())
    assert manifest_of(export) == manifest_of(export.parent) == content
    with pytest.raises(InputError, match="is not there"):
        manifest_of(export.parent / "2")
