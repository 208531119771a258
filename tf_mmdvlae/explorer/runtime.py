"""onnxruntime-web, which runs networks in a browser: a package of npm, fetched once."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.common.files import replacing_folder
from tf_mmdvlae.common.paths import expanded, user_cache

NAME, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""The SHA-512 of the package, in base64, as npm's registry gives it."""

ENTRY, LOADER, WASM = (
    "ort.wasm.min.js",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
)
_URL = f"https://registry.npmjs.org/{NAME}/-/{NAME}-{VERSION}.tgz"
_SECONDS = 300


def find_runtime(folder: pathlib.Path | str | None = None) -> pathlib.Path:
    """The folder with the files `ENTRY`, `LOADER` and `WASM`.

    Args:
      folder: an unpacked npm package of any version; None takes `VERSION` from the user's cache,
        and has npm fetch it into the cache first where it is not there.

    Raises:
      InputError: if the folder lacks a file; or the package can't be fetched, or is not the one
        that was tried. The message says what to get.
    """
    if folder is not None:
        return _complete(expanded(folder))
    cached = user_cache("--runtime=DIR") / f"{NAME}-{VERSION}"
    if not cached.exists():
        _fetch(cached)
    return _complete(cached)


def _complete(folder):
    # npm packs everything into a folder of this name.
    for place in (folder / "dist", folder / "package" / "dist"):
        if all((place / name).is_file() for name in (ENTRY, LOADER, WASM)):
            return place
    raise InputError(
        f"{folder} is no unpacked {NAME}: dist/{WASM} or a file beside it is missing. "
        f"{_URL} has them."
    )


def _fetch(cached):
    print(f"Fetching {NAME} {VERSION} by npm, 33 MB, once ...", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        archive = _packed(pathlib.Path(temporary))
        content = archive.read_bytes()
        if base64.b64encode(hashlib.sha512(content).digest()).decode() != INTEGRITY:
            raise _failure("what npm gave has another checksum than the package that was tried")
        with replacing_folder(cached) as folder, tarfile.open(archive) as members:
            (folder / "dist").mkdir()
            for name in (ENTRY, LOADER, WASM):
                member = members.extractfile(f"package/dist/{name}")
                assert member is not None, "The checksum says that the file is there."
                (folder / "dist" / name).write_bytes(member.read())


def _packed(folder):
    npm = shutil.which("npm")
    if npm is None:
        raise _failure("npm is not installed")
    command = [npm, "pack", f"{NAME}@{VERSION}", "--fetch-retries=1"]
    try:
        with explained("npm can't be started"):
            answer = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS
            )
    except subprocess.TimeoutExpired:
        raise _failure(f"npm took more than {_SECONDS} seconds") from None
    archives = list(folder.glob("*.tgz"))
    if answer.returncode or len(archives) != 1:
        lines = [line for line in answer.stderr.splitlines() if "error" in line.lower()]
        raise _failure(f"npm says {(lines or ['nothing'])[0].strip()!r}")
    return archives[0]


def _failure(reason):
    return InputError(
        f"{NAME} {VERSION} can't be fetched: {reason}. Get {_URL}, unpack it, and give its folder "
        "as --runtime=DIR."
    )
