"""What is written for a browser, without one."""

import base64
import gzip
import importlib.resources
import json
import os
import pathlib
import re
import shutil
import sys

import numpy as np
import pytest

from tf_mmdvlae.cli import explore
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.explorer import static
from tf_mmdvlae.explorer.fitted import find_mixture, find_vectors
from tf_mmdvlae.explorer.runtime import ENTRY, LOADER, WASM
from tf_mmdvlae.explorer.subject import Subject
from tf_mmdvlae.model.samplers import LayerMixtures, Samplers
from tf_mmdvlae.serving.loaded import load, newest_version

EXPORT = f"--export={pathlib.Path(__file__).resolve().parents[2] / 'exports' / 'mnist'}"


@pytest.fixture(scope="module")
def served(finished_run):
    return load(finished_run[1])


@pytest.fixture
def old(finished_run, tmp_path):
    """The same export without the files that older ones lack."""
    version = tmp_path / "old" / "1"
    shutil.copytree(newest_version(finished_run[1]), version)
    for name in ("directions.npz", "samplers.npz"):
        (version / "assets.extra" / name).unlink()
    return version


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtime") / "dist"
    folder.mkdir()
    (folder / ENTRY).write_text("const origin = location.origin; // </script>")
    (folder / LOADER).write_text("loader")
    (folder / WASM).write_bytes(bytes(range(256)))
    return folder


@pytest.fixture
def subject(served, monkeypatch):
    """The subject of an export whose networks are not converted."""
    monkeypatch.setattr(static, "encoder", lambda served: b"encoder")
    monkeypatch.setattr(static, "decoder", lambda served: b"decoder")
    return Subject(served)


def test_old_exports_give_what_new_ones_have_as_files(served, old, finished_run):
    samplers = Samplers.load(finished_run[0] / "samplers.npz")
    vectors = find_vectors(served)
    earlier = load(old)
    for name, values in find_vectors(earlier).items():
        np.testing.assert_array_equal(values, vectors[name])
    for found in (find_mixture(served), find_mixture(earlier)):
        np.testing.assert_array_equal(found.means, samplers.joint.means)
        np.testing.assert_array_equal(found.factors, samplers.joint.factors)
        np.testing.assert_allclose(found.weights, samplers.joint.weights, atol=1e-6)


def test_a_file_of_another_export_is_refused(served, old, finished_run):
    layers = Samplers.load(finished_run[0] / "samplers.npz").layers
    of_one = Samplers(layers.mixtures[0], LayerMixtures(layers.mixtures[:1]))
    of_one.save(old / "assets.extra" / "samplers.npz")
    with pytest.raises(InputError, match=r"samplers.npz is of layers of \(2,\) dimensions"):
        find_mixture(load(old))


@pytest.mark.slow
def test_an_export_without_mixture_draws_from_the_prior(request):
    mixture = find_mixture(load(request.config.rootpath / "exports" / "synthetic_faces" / "1"))
    np.testing.assert_array_equal(mixture.factors, np.eye(40)[None])
    np.testing.assert_array_equal(mixture.means, np.zeros((1, 40)))


def test_a_folder_holds_the_page_and_what_it_needs(subject, served, runtime, tmp_path):
    size = static.write_page(subject, runtime, tmp_path / "page")
    files = {path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()}
    assert size == sum(map(len, files.values()))
    assert json.loads(files["about.json"]) == subject.about
    assert files["decode.onnx"] == b"decoder"
    assert files[WASM] == bytes(range(256))
    assert b"Copyright (c) Microsoft Corporation" in files["onnxruntime.txt"]
    mixture, values = find_mixture(served), np.frombuffer(files["mixture.bin"], "<f4")
    count = len(mixture.weights)
    np.testing.assert_allclose(values[:count], mixture.weights, atol=1e-6)
    np.testing.assert_array_equal(values[-25:], mixture.factors[-1].ravel())
    # What the page and its modules name is there, and no backend that asks a server.
    texts = [content.decode() for name, content in files.items() if name.endswith((".js", ".html"))]
    for text in texts:
        for name in re.findall(r'(?:src|href|from)[= ]"(?:\./)?([\w.-]+)"', text):
            assert name in files
    assert "served.js" not in files


def test_one_file_holds_it_all(subject, runtime, tmp_path):
    static.write_page(subject, runtime, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    packed = dict(re.findall(r'<script type="text/plain" id="(.*?)">(.*?)</script>', text))
    assert gzip.decompress(base64.b64decode(packed[WASM])) == bytes(range(256))
    assert json.loads(gzip.decompress(base64.b64decode(packed["about.json"]))) == subject.about
    assert not re.search(r'(src|href)="(?!data:)|^(import|export)\b', text, re.MULTILINE)
    assert text.count("</script>") == 2 + len(packed)
    static.write_page(subject, runtime, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == text


def test_modules_become_functions_in_the_order_of_their_imports():
    page = {
        "main.js": 'import { a, b as c } from "./one.js";\nimport * as two from "./two.js";\na(c);',
        "one.js": 'import { d } from "./two.js";\nexport const b = d;\nexport function a() {}',
        "two.js": "export class d {}\nconst exported = 1;",
    }
    text = static._joined(page)
    assert [*re.findall(r"const module_(\w+)", text)] == ["two", "one", "main"]
    assert "const { a, b: c } = module_one;" in text
    assert "const two = module_two;" in text
    assert "return { b, a };" in text
    with pytest.raises(AssertionError, match="odd.js has another form"):
        static._joined({"odd.js": "export default 1;"})


def test_an_earlier_page_is_replaced_and_other_files_are_not(subject, runtime, tmp_path):
    out = tmp_path / "page"
    static.check_place(out)
    assert not out.exists()
    static.write_page(subject, runtime, out)
    (out / "left.js").touch()
    static.check_place(out)
    static.write_page(subject, runtime, out)
    assert not (out / "left.js").exists()
    (out / "index.html").write_text("<html>")
    with pytest.raises(InputError, match="holds other files .*give a new folder"):
        static.check_place(out)
    with pytest.raises(InputError, match="is a file; give a folder, or a file that ends in .html"):
        static.check_place(out / "style.css")


def test_a_failed_page_leaves_what_was_there(subject, runtime, tmp_path, monkeypatch):
    for out in (tmp_path / "page", tmp_path / "page.html"):
        static.write_page(subject, runtime, out)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    def full(*_):
        raise InputError("onnx decode differs")

    monkeypatch.setattr(static, "decoder", full)
    for out in (tmp_path / "page", tmp_path / "page.html"):
        with pytest.raises(InputError, match="differs"):
            static.write_page(subject, runtime, out)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_place_is_proved_before_anything_is_fetched(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    for out, words in (
        (tmp_path / "full", "holds other files (mine)"),
        (tmp_path / "full" / "mine" / "page.html", "Cannot write"),
        (tmp_path / "page.html", "npm is not installed"),
    ):
        assert explore.main([EXPORT, f"--out={out}"]) == 1
        assert words in capsys.readouterr().err
    # Other packages keep caches there, too.
    assert set(os.listdir(tmp_path)) <= {"full", "cache"}
    assert not (tmp_path / "cache" / "tf_mmdvlae").exists()


def test_missing_packages_and_flags_are_said(tmp_path, monkeypatch, capsys):
    assert explore.main([EXPORT, "--runtime=x"]) == 1
    assert "give --out too" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    assert explore.main([EXPORT, f"--out={tmp_path / 'page'}"]) == 1
    error = capsys.readouterr().err
    assert "--out needs tf2onnx" in error
    assert "pip install --editable '.[explore]'" in error


@pytest.mark.slow
def test_the_command_writes_a_page(finished_run, runtime, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    out = tmp_path / "page.html"
    flags = [f"--export={finished_run[1]}", f"--runtime={runtime.parent}", f"--out={out}"]
    assert explore.main(flags) == 0
    printed = capsys.readouterr().out
    assert "onnx decode: equal to the SavedModel's" in printed
    assert "can be mailed" in printed
    assert "Its data: A folder of pictures" in printed
    assert 'id="decode.onnx"' in out.read_text()


def test_the_page_is_part_of_the_package():
    folder = importlib.resources.files("tf_mmdvlae.explorer")
    assert (folder / "page" / "static.js").is_file()
    assert (folder / "onnxruntime.txt").is_file()
