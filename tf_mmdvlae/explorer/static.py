"""The page as files of its own, which compute in the visitor's browser: a folder, or one file."""

from __future__ import annotations

import base64
import graphlib
import gzip
import hashlib
import importlib.resources
import json
import pathlib
import re

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.common.files import replacing, replacing_folder, require_file, require_folder
from tf_mmdvlae.explorer.fitted import find_mixture
from tf_mmdvlae.explorer.networks import decoder, encoder
from tf_mmdvlae.explorer.runtime import ENTRY, LOADER, WASM
from tf_mmdvlae.explorer.server import POLICY, rows
from tf_mmdvlae.explorer.subject import Subject

_ROOM = importlib.resources.files("tf_mmdvlae.explorer")
_LICENCE = "onnxruntime.txt"
_MAIN, _SERVED, _STATIC, _DISK = "main.js", "served.js", "static.js", "disk.js"
_MARK = '<meta name="generator" content="tf_mmdvlae">'
_STYLE = '<link rel="stylesheet" href="style.css">'
_SCRIPT = '<script type="module" src="main.js"></script>'
_IMPORT = re.compile(r'^import (\{[^}]*\}|\* as \w+) from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?function|const|class) (\w+)", re.MULTILINE)
# The runtime looks for its place where Firefox gives a page from disk none.
_ORIGIN = "location.origin"
_ORIGIN_ON_DISK = '(location.protocol==="file:"?"file://":location.origin)'


def is_one_file(out: pathlib.Path | str) -> bool:
    """Whether `out` names one file, by its ending .html, and not a folder."""
    return pathlib.Path(out).suffix.lower() in (".html", ".htm")


def check_place(out: pathlib.Path | str) -> None:
    """Proves that a page can be written to `out`; leaves nothing.

    Raises:
      InputError: if it can't, or `out` is a folder that holds anything but an earlier page.
    """
    out = pathlib.Path(out)
    if is_one_file(out):
        require_file(out)
        return
    if out.is_file():
        raise InputError(f"{out} is a file; give a folder, or a file that ends in .html.")
    require_folder(out.parent)
    require_folder(out)
    names = sorted(path.name for path in out.glob("*"))
    index = out / "index.html"
    if names and not (index.is_file() and _MARK in index.read_text(errors="replace")):
        raise InputError(f"{out} holds other files ({', '.join(names[:3])}); give a new folder.")


def write_page(subject: Subject, runtime: pathlib.Path, out: pathlib.Path | str) -> int:
    """Writes the page of a subject, whole or not at all; an earlier page there is replaced.

    Args:
      subject: what is explored.
      runtime: the folder of onnxruntime-web that `find_runtime` gives.
      out: a folder, whose index.html any web server can serve, or a file that ends in .html and
        opens from disk.

    Returns:
      How many bytes the page has.

    Raises:
      InputError: if a network can't be written as ONNX, or the place can't be written.
    """
    print("Writing the networks as ONNX ...", flush=True)
    parts = {
        "about.json": json.dumps(subject.about).encode(),
        "encode.onnx": encoder(subject.served),
        "decode.onnx": decoder(subject.served),
        "mixture.bin": _mixture(subject),
        "examples.bin": rows(*subject.examples()),
        LOADER: (runtime / LOADER).read_bytes(),
        WASM: (runtime / WASM).read_bytes(),
    }
    page = _page()
    entry = (runtime / ENTRY).read_text(encoding="utf-8")
    if is_one_file(out):
        text = _one_file(page, entry, parts)
        with replacing(out) as temporary:
            return temporary.write_text(text, encoding="utf-8")
    page["index.html"] = _folder_index(page["index.html"])
    texts = page | {ENTRY: entry, _LICENCE: _licence()}
    files = parts | {name: text.encode() for name, text in texts.items()}
    with replacing_folder(out) as folder:
        return sum((folder / name).write_bytes(content) for name, content in files.items())


def _mixture(subject):
    mixture = find_mixture(subject.served)
    arrays = (mixture.weights, mixture.means, mixture.factors)
    return b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in arrays)


def _licence():
    return (_ROOM / _LICENCE).read_text(encoding="utf-8")


def _page():
    """The texts of the page by name, with the backend of this module in place of the server's."""
    folder = _ROOM / "page"
    page = {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    del page[_SERVED]
    page[_MAIN] = _put(page[_MAIN], f'"./{_SERVED}"', f'"./{_STATIC}"')
    return page


def _folder_index(index):
    policy = f"{POLICY}; script-src 'self' 'wasm-unsafe-eval' blob:"
    scripts = f'<script src="{_DISK}"></script>\n  <script src="{ENTRY}"></script>\n  {_SCRIPT}'
    return _put(_put(index, _STYLE, f"{_head(policy)}\n  {_STYLE}"), _SCRIPT, scripts)


def _one_file(page, entry, parts):
    texts = entry.replace(_ORIGIN, _ORIGIN_ON_DISK), _joined(page)
    scripts = [text.replace("</script", "<\\/script") for text in texts]
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    policy = f"{POLICY}; script-src {hashes} 'wasm-unsafe-eval' blob:; style-src 'unsafe-inline'"
    style = f"{_head(policy)}\n  <style>\n{page['style.css']}</style>"
    index = _put(_put(page["index.html"], _STYLE, style), _SCRIPT, "")
    packed = "\n".join(
        f'<script type="text/plain" id="{name}">{_packed(content)}</script>'
        for name, content in parts.items()
    )
    runtime, modules = scripts
    # A module runs when all that is above it has been read.
    code = f'<script>{runtime}</script>\n<script type="module">{modules}</script>'
    return _put(index, "</body>", f"<!--\n{_licence()}-->\n{packed}\n{code}\n</body>")


def _head(policy):
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n  {_MARK}'


def _packed(content):
    # Without the time, so that the same export gives the same file.
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _joined(page):
    """The modules as one, as browsers import none from disk: each a function that gives exports."""
    modules = {name: text for name, text in page.items() if name.endswith(".js") and name != _DISK}
    needs = {name: [file for _, file in _IMPORT.findall(text)] for name, text in modules.items()}
    order = graphlib.TopologicalSorter(needs).static_order()
    return "\n".join(_as_function(name, modules[name]) for name in order)


def _as_function(name, text):
    exports = ", ".join(exported for _, exported in _EXPORT.findall(text))
    text = _IMPORT.sub(
        lambda found: f"const {_names(found.group(1))} = {_variable(found.group(2))};", text
    )
    text = _EXPORT.sub(r"\1 \2", text)
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE), f"{name} has another form."
    return f"const {_variable(name)} = (() => {{\n{text}\nreturn {{ {exports} }};\n}})();"


def _names(imported):
    return imported.removeprefix("* as ").replace(" as ", ": ")


def _variable(name):
    return "module_" + name.removesuffix(".js")


def _put(text, place, replacement):
    assert text.count(place) == 1, f"The page has no {place}, or more than one."
    return text.replace(place, replacement)
