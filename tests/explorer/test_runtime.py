"""The browser's runtime: where it is found, and what is said where it can't be had."""

import base64
import hashlib
import io
import os
import stat
import tarfile

import pytest

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.explorer import runtime
from tf_mmdvlae.explorer.runtime import ENTRY, LOADER, WASM, find_runtime


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tf_mmdvlae" / f"onnxruntime-web-{runtime.VERSION}"


@pytest.fixture
def archive(monkeypatch):
    """The bytes of a package, whose checksum is the pinned one."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as members:
        for name in (ENTRY, LOADER, WASM, "ort.webgpu.js"):
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            members.addfile(member, io.BytesIO(name.encode()))
    digest = base64.b64encode(hashlib.sha512(content.getvalue()).digest()).decode()
    monkeypatch.setattr(runtime, "INTEGRITY", digest)
    return content.getvalue()


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """`npm(script)`: a program of that name, and no other program on the path."""

    def write(script):
        path = tmp_path / "bin" / "npm"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(path.parent))

    return write


def test_the_package_is_fetched_once(archive, npm, cache, tmp_path):
    (tmp_path / "package.tgz").write_bytes(archive)
    npm(f'echo "$@" > {tmp_path}/arguments; cp {tmp_path}/package.tgz .')
    place = find_runtime()
    assert (tmp_path / "arguments").read_text().startswith("pack onnxruntime-web@1.30.0 ")
    assert place == cache / "dist"
    # Only what a page needs is kept.
    assert sorted(os.listdir(place)) == sorted([ENTRY, LOADER, WASM])
    assert (place / WASM).read_text() == WASM
    npm("exit 1")
    assert find_runtime() == place


def test_another_package_is_refused(archive, npm, cache, tmp_path):
    (tmp_path / "package.tgz").write_bytes(archive + b"\0")
    npm(f"cp {tmp_path}/package.tgz .")
    with pytest.raises(InputError, match="another checksum"):
        find_runtime()
    assert not cache.parent.exists()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "npm is not installed"),
        ("echo 'npm error code ENOTFOUND' >&2; exit 1", "npm says 'npm error code ENOTFOUND'"),
        ("exit 0", "npm says 'nothing'"),
        ("exec sleep 60", "npm took more than 0.2 seconds"),
    ],
)
def test_what_to_get_is_said_in_one_line(npm, tmp_path, monkeypatch, cache, script, reason):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(runtime, "_SECONDS", 0.2 if script and "sleep" in script else 60)
    if script is not None:
        npm(script)
    with pytest.raises(InputError) as caught:
        find_runtime()
    assert f"can't be fetched: {reason}" in str(caught.value)
    assert "onnxruntime-web-1.30.0.tgz, unpack it" in str(caught.value)
    assert "--runtime=DIR" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not cache.parent.exists()


@pytest.mark.parametrize("place", ["dist", "package/dist"])
def test_an_unpacked_package_is_taken_as_it_is(tmp_path, place):
    folder = tmp_path / "unpacked" / place
    folder.mkdir(parents=True)
    for name in (ENTRY, LOADER):
        (folder / name).touch()
    with pytest.raises(InputError, match="unpacked is no unpacked onnxruntime-web: .*wasm"):
        find_runtime(tmp_path / "unpacked")
    (folder / WASM).touch()
    assert find_runtime(tmp_path / "unpacked") == folder
