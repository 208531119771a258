"""What bin/publish sends to the Hub, and what comes back from there."""

import json
import shutil

import keras
import numpy as np
import pytest
import yaml

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.serving.loaded import load, manifest_of, newest_version
from tf_mmdvlae.training.publish import publish
from tf_mmdvlae.training.run import load_run

NAME = "hf://me/bars"


@pytest.fixture(scope="module")
def served(finished_run):
    return load(finished_run[1])


@pytest.fixture
def export(finished_run, tmp_path, served, monkeypatch):
    """A copy of an export, which `publish` takes for loaded: that takes most of its time."""
    monkeypatch.setattr("tf_mmdvlae.training.publish.load", lambda path: served)
    return shutil.copytree(finished_run[1] / "1", tmp_path / "export" / "1")


@pytest.fixture
def of_dataset(export):
    """`of_dataset(name)`: the export as if it were of that data set, with example pictures."""

    def change(name, ancestors=()):
        path = export / "assets.extra" / "manifest.json"
        manifest = json.loads(path.read_text()) | {"dataset": name}
        manifest["config"]["train"]["ancestors"] = ancestors
        path.write_text(json.dumps(manifest))
        (export / "assets.extra" / "examples.png").write_bytes(b"pictures")
        return export

    return change


def metadata(card):
    _, head, text = card.decode().split("---\n", 2)
    return yaml.safe_load(head), text


@pytest.mark.slow
def test_a_model_comes_back_as_it_was(hub, export, served, images):
    sent = {file.relative_to(export).as_posix() for file in export.rglob("*") if file.is_file()}
    # An owner's own files, and those that fetching left: huggingface_hub refuses the latter.
    for name in (".of_an_editor", "notes.txt", "assets.extra/notes.txt", ".cache/huggingface/a"):
        (export / name).parent.mkdir(exist_ok=True, parents=True)
        (export / name).write_text("private")
    published = publish(export, f"{NAME}@v1", licence="mit")
    assert published.page == f"{hub.address}/me/bars"
    assert (published.name, published.pinned, published.private) == (NAME, f"{NAME}@v1", False)
    again = load(NAME)
    for mine, theirs in zip(again.encode(images), served.encode(images), strict=True):
        for layer, codes in theirs.items():
            np.testing.assert_array_equal(mine[layer], codes)
    assert again.manifest == served.manifest
    assert hub.files("me/bars").keys() == sent | {"README.md", ".gitattributes"}
    hub.stop()
    assert newest_version(NAME) == again.path


def test_the_card_has_what_the_hub_reads(hub, export):
    publish(export, NAME, licence="mit")
    head, text = metadata(hub.files("me/bars")["README.md"])
    assert head["library_name"] == "tf_mmdvlae"
    assert head["license"] == "mit"
    results = head["model-index"][0]["results"][0]["metrics"]
    results = {result["type"]: result["value"] for result in results}
    expected = {name: number["value"] for name, number in manifest_of(export)["test"].items()}
    assert results == pytest.approx(expected)
    assert text.strip().startswith((export / "assets.extra" / "README.md").read_text()[:40])
    assert f'tf_mmdvlae.load("{NAME}")' in text
    assert "![" not in text
    hub.yaml_errors.append({"message": '"license" must be one of a list'})
    with pytest.raises(InputError, match='"license" must be one of a list'):
        publish(export, NAME, licence="none of these")


def test_pictures_are_those_that_anyone_may_see(hub, of_dataset):
    publish(of_dataset("mnist:3.0.1"), NAME)
    files = hub.files("me/bars")
    assert files["samples.png"].startswith(b"\x89PNG")
    assert files["assets.extra/examples.png"] == b"pictures"
    text = metadata(files["README.md"])[1]
    assert "](samples.png)" in text
    assert "](assets.extra/examples.png)" in text
    for dataset, ancestors in (
        ("celeb_a_hq/256:2.0.0", ()),
        ("mnist", ("celeb_a:2.1.0", "mnist")),
        ("celeb_a:2.1.0", ()),
    ):
        export = of_dataset(dataset, ancestors)
        with pytest.raises(InputError, match="non-commercial research only.*--i_have_the_rights"):
            publish(export, "hf://me/celebrities")
    assert hub.models.keys() == {"me/bars"}
    publish(export, NAME, rights=True)
    assert not [file for file in hub.files("me/bars") if file.endswith(".png")]


@pytest.mark.slow
def test_a_run_comes_back_for_another_start(hub, export, finished_run, weights):
    publish(export, f"{NAME}@v1", workdir=finished_run[0])
    for mine, theirs in zip(load_run(NAME).weights, weights(finished_run[0]), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs)
    config = json.loads(hub.files("me/bars")["config.json"])
    assert not {"image_dir", "data_dir", "labels"} & config["data"].keys()
    # A later export leaves nothing of an older run behind.
    publish(export, NAME)
    assert not {"model.keras", "config.json"} & hub.files("me/bars").keys()
    with pytest.raises(InputError, match="holds no run, which bin/publish --workdir adds"):
        load_run(NAME)
    load_run(f"{NAME}@v1")


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest["config"]["train"].update(steps=13),
        lambda manifest: manifest["test"]["l1"].update(value=0.5),
        lambda manifest: manifest.update(folder="of other pictures"),
    ],
)
def test_a_run_of_another_export_is_refused(hub, finished_run, export, change):
    path = export / "assets.extra" / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="is not an export of the run in"):
        publish(export, NAME, workdir=finished_run[0])
    assert not hub.models


def test_other_peoples_names_and_other_things_stay(hub, export, monkeypatch):
    hub.add("me/bars", {"config.json": b"{}", ".gitattributes": b""})
    hub.add("me/page", {"README.md": b"About my model", ".gitattributes": b""})
    hub.add("me/tagged", {})
    hub.models["me/tagged"]["tags"]["v1"] = hub.commit("me/tagged", "main")
    hub.branches.append("dev")
    before = {name: list(model["commits"]) for name, model in hub.models.items()}
    for to, private, reason in (
        (NAME, False, "holds something else than an export"),
        ("hf://me/page", True, "is public already; nothing was published"),
        ("hf://me/tagged@v1", False, "has a tag v1 already"),
        ("hf://me/tagged@dev", False, "has a branch dev already"),
        ("hf://you/bars", False, "403 Forbidden.*hf auth login"),
    ):
        with pytest.raises(InputError, match=reason):
            publish(export, to, private)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="needs a token.*hf auth login"):
        publish(export, "hf://me/page")
    assert {name: list(model["commits"]) for name, model in hub.models.items()} == before


@pytest.mark.parametrize(
    "tag", ["v1~x", "a..b", "-v", "v.lock", "a//b", "v1.", "main", "refs/pr/1", "0123456789" * 4]
)
def test_what_git_takes_for_no_tag_is_refused_before_the_commit(hub, export, tag):
    with pytest.raises(InputError, match="can't be the name of a tag"):
        publish(export, f"{NAME}@{tag}")
    assert not hub.models


def test_a_tag_that_fails_tells_of_the_commit(hub, export, monkeypatch):
    def fail(*arguments, **named):
        raise OSError("no answer")

    monkeypatch.setattr("huggingface_hub.HfApi.create_tag", fail)
    reason = "is published as .*, but without the tag v1.*no answer"
    with pytest.raises(InputError, match=reason) as raised:
        publish(export, f"{NAME}@v1")
    assert f"{NAME}@{hub.commit('me/bars', 'main')}," in str(raised.value)


def test_a_private_model_is_its_owners(hub, export, monkeypatch):
    assert publish(export, NAME, private=True).private
    assert publish(export, NAME).private
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="it is private"):
        load(f"{NAME}@v2")


def test_code_in_a_model_is_not_run(hub, finished_run, tmp_path):
    """Keras refuses a function that a stranger's file holds as bytes."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)])
    model.save(tmp_path / "model.keras")
    shutil.copy(finished_run[0] / "config.json", tmp_path)
    files = ("config.json", "model.keras")
    hub.add("you/bars", {name: (tmp_path / name).read_bytes() for name in files})
    with pytest.raises(InputError, match=r"model.keras cannot be read .*Lambda"):
        load_run("hf://you/bars")
