"""Names on the Hugging Face Hub: fetched once, offline afterwards, and refused with a reason."""

import sys

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.hub import local_copy, parse_name

FILES = {"about.json": b"{}", "parts/a.pb": b"a" * 5000, "parts/b.txt": b"b", "large.bin": b"c"}


def fetch(name):
    return local_copy(name, "about.json", ("about.json", "parts/*"), "model of ours")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hf://me/faces", ("me/faces", None)),
        ("hf://me/fa-ce.s_2@v1", ("me/fa-ce.s_2", "v1")),
        ("hf://me/faces@refs/pr/1", ("me/faces", "refs/pr/1")),
    ],
)
def test_names_are_split(name, expected):
    assert parse_name(name) == expected


@pytest.mark.parametrize(
    "name", ["hf://", "hf://faces", "hf://me/faces/1", "hf://me/faces@", "hf://me/f s", "hf://mé/f"]
)
def test_other_names_are_refused_with_the_right_form(name):
    with pytest.raises(InputError, match="hf://user/name and hf://user/name@revision"):
        parse_name(name)


def test_a_folder_is_itself_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert fetch(tmp_path) == tmp_path
    with pytest.raises(InputError, match=r"hf://me/faces needs huggingface_hub.*'\.\[hub\]'"):
        fetch("hf://me/faces")


def test_what_was_fetched_works_offline(hub):
    first = hub.add("me/model", FILES)
    second = hub.add("me/model", FILES | {"parts/b.txt": b"new"})
    hub.models["me/model"]["tags"]["v1"] = first
    folder = fetch("hf://me/model")
    assert (folder / "parts" / "b.txt").read_bytes() == b"new"
    assert (folder / "parts" / "a.pb").read_bytes() == FILES["parts/a.pb"]
    # Files that nobody asked for may be large.
    assert not (folder / "large.bin").exists()
    for name in ("hf://me/model@v1", f"hf://me/model@{first}"):
        assert (fetch(name) / "parts" / "b.txt").read_bytes() == b"b"
    assert folder.name == second
    count = len(hub.requests)
    hub.stop()
    assert fetch("hf://me/model") == folder
    assert fetch("hf://me/model@v1").name == first
    assert len(hub.requests) == count


def test_a_newer_model_is_fetched(hub):
    hub.add("me/model", FILES)
    fetch("hf://me/model")
    hub.add("me/model", FILES | {"parts/b.txt": b"new"})
    assert (fetch("hf://me/model") / "parts" / "b.txt").read_bytes() == b"new"


def test_what_is_not_there_is_refused_with_the_reason(hub, monkeypatch):
    hub.add("me/model", FILES)
    hub.add("me/other", {"config.json": b"{}"})
    hub.add("me/secret", FILES, private=True)
    fetch("hf://me/secret")
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for name, reason in {
        "hf://me/modle": "is not on the Hub, or it is private.*hf auth login",
        "hf://me/model@v9": "me/model has no branch, tag or commit of this name",
        "hf://me/other": "holds no model of ours: it has no about.json",
        "hf://me/mo--del": "is no name on the Hub: Cannot have --",
    }.items():
        with pytest.raises(InputError, match=reason) as error:
            fetch(name)
        assert len(str(error.value)) < 300
    hub.stop()
    with pytest.raises(InputError, match="is not in the cache.*Hub can't be reached .*refused"):
        fetch("hf://me/modle")
