"""An export, and if asked the run that it is of, sent to the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import tempfile

from tf_mmdvlae import __version__
from tf_mmdvlae.common import hub
from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.common.extras import require_packages
from tf_mmdvlae.serving.loaded import MANIFEST, Served, load, manifest_of, newest_version
from tf_mmdvlae.serving.manifest import folder_digest, without_places
from tf_mmdvlae.serving.model_card import REFUSED, SHOWN, data_sets, hub_card
from tf_mmdvlae.training.workdir import Workdir

_CARD, _SAMPLES, _EXAMPLES = "README.md", "samples.png", "assets.extra/examples.png"
_SAMPLE_COUNT = 16
# What exports write. Whatever else lies in their folders is their owner's.
_SENT = (
    "saved_model.pb",
    "fingerprint.pb",
    "variables/variables.*",
    "assets/*",
    *(f"assets.extra/{name}" for name in ("manifest.json", _CARD, "tf_serving_warmup_requests")),
    *(f"assets.extra/{name}" for name in ("directions.npz", "samplers.npz", "examples.png")),
    *(f"assets.extra/{name}" for name in ("model_float*.tflite", "*.onnx")),
)
# What git-check-ref-format allows, but for names that mean something else: refs, branch, commit.
_TAG = re.compile(
    r"(?![-./]|refs/|main$|[0-9a-f]{40}$)(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)))"
    r"[^\x00-\x20\x7f~^:?*\[\\]+(?<![./])"
)
# What an earlier model may have left under the name, and what the Hub itself puts there.
_FILES = ("saved_model.pb", "fingerprint.pb", "config.json", "model.keras", _CARD, _SAMPLES)
_FOLDERS = ("variables/", "assets/", "assets.extra/")
_OF_THE_HUB = {".gitattributes", _CARD, "LICENSE"}


@dataclasses.dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
      page: the model's address on the Hub.
      name: hf://user/name, the newest model there.
      pinned: the same name with the commit, which stays this model.
      private: whether only its owners see it.
    """

    page: str
    name: str
    pinned: str
    private: bool


def publish(
    export: pathlib.Path | str,
    to: str,
    private: bool = False,
    licence: str | None = None,
    workdir: pathlib.Path | str | None = None,
    rights: bool = False,
) -> Published:
    """Sends an export to the Hub as one commit, which replaces an earlier model of the same name.

    The Hub gets the files of the SavedModel, at the top, and a model card. Pictures, example images
    and samples, go with it only where the data set is one that anyone may see.

    Args:
      export: as for `load`; of a folder of versions the newest is sent.
      to: hf://user/name, or hf://user/name@tag to give the commit a tag that is new.
      private: makes the name a private one where it is new.
      licence: the Hub's short name of the licence, such as "apache-2.0".
      workdir: the run of this export, to send what `--init_from` needs: `model.keras`, and
        `config.json` without the paths of the machine.
      rights: whether the caller has the rights to publish a model of restricted data.

    Raises:
      InputError: if the export can't be loaded or is not of the run, its data are restricted, the
        name is taken by something else, or the Hub refuses. Nothing is published then, unless the
        error says that only the tag is missing.
    """
    repo, tag = hub.parse_name(to)
    if tag and not _TAG.fullmatch(tag):
        raise InputError(f"{to}: {tag} can't be the name of a tag; give another one, such as v1.")
    path = newest_version(export)
    manifest = manifest_of(path)
    learned_from = data_sets(manifest)
    refused = [name for name in learned_from if name in REFUSED]
    if refused and not rights:
        raise InputError(
            f"{export} learned from {refused[0]}: {REFUSED[refused[0]]}. Nothing was "
            "published; --i_have_the_rights says that you have the rights to publish it."
        )
    run = {} if workdir is None else _run_files(workdir, export, manifest)
    require_packages(f"--to={to}", "hub", ["huggingface_hub"])
    _require_token(to)
    files: dict[str, bytes | pathlib.Path] = {
        file.relative_to(path).as_posix(): file
        for pattern in _SENT
        for file in sorted(path.glob(pattern))
        if file.is_file() and not file.name.startswith(".")
    } | run
    # What can't be loaded is not worth publishing.
    served = load(path)
    if workdir is not None:
        from tf_mmdvlae.training.run import load_run

        load_run(workdir)
    if set(learned_from) <= {*SHOWN}:
        files[_SAMPLES] = _samples(served)
    else:
        files.pop(_EXAMPLES, None)
    pictures = [file for file in (_SAMPLES, _EXAMPLES) if file in files]
    name = f"hf://{repo}"
    with explained(f"The model card of {path} can't be read"):
        card = (path / "assets.extra" / _CARD).read_text(encoding="utf-8")
    card = hub_card(card, manifest, name, licence, pictures, workdir is not None)
    files[_CARD] = card.encode()
    message = f"{manifest.get('dataset')}, {manifest.get('steps')} steps, tf_mmdvlae {__version__}"
    return _send(files, name, repo, tag, private, message)


def _require_token(to):
    from huggingface_hub import get_token

    if not get_token():
        raise InputError(f"{to} needs a token that may write there. {hub.LOGIN}.")


def _run_files(workdir, export, manifest):
    """What `--init_from` needs of a run."""
    folder = Workdir(workdir)
    config, metrics = folder.read_finished_config(), folder.read_metrics()
    found = without_places(metrics["config"]), metrics["test"]
    # Runs on other pictures may have the same settings, but not the same errors.
    is_same = found == (manifest.get("config"), manifest.get("test"))
    if not is_same or manifest.get("folder") not in (None, folder_digest(config.data)):
        raise InputError(
            f"{export} is not an export of the run in {workdir} as it is now; give another one, or "
            "export the run again: bin/export."
        )
    settings = json.dumps(without_places(config.to_dict()), indent=2)
    return {"model.keras": folder.model_file, "config.json": settings.encode()}


def _samples(served: Served) -> bytes:
    from tf_mmdvlae.figures.answers import draw_draws

    fitted = "sample_fitted" in served.signatures
    images = served.sample(range(_SAMPLE_COUNT), fitted=fitted)
    with tempfile.TemporaryDirectory() as folder:
        return draw_draws(pathlib.Path(folder) / _SAMPLES, images, 0, 1.0).read_bytes()


def _send(files, name, repo, tag, private, message):
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(library_name="tf_mmdvlae", library_version=__version__)
    with hub.explained(name):
        # A file that can't be sent is to leave no empty name behind.
        added = [CommitOperationAdd(file, content) for file, content in files.items()]
        page = api.create_repo(repo, private=private or None, exist_ok=True)
        info = api.model_info(repo)
        there = {file.rfilename for file in info.siblings or ()}
        if private and not info.private:
            raise InputError(
                f"{name} is public already; nothing was published. Make it private at "
                f"{page}/settings, leave out --private, or choose another name."
            )
        if there - _OF_THE_HUB and MANIFEST not in there:
            raise InputError(
                f"{name} holds something else than an export of this package; nothing was "
                "published. Choose another name."
            )
        refs = api.list_repo_refs(repo)
        for kind, there_already in (("tag", refs.tags), ("branch", refs.branches)):
            if tag in {ref.name for ref in there_already}:
                raise InputError(f"{name} has a {kind} {tag} already, which stays; choose a tag.")
        old = {file for file in there if file in _FILES or file.startswith(_FOLDERS)} - {*files}
        changes = [*added, *(CommitOperationDelete(file) for file in sorted(old))]
        # Nobody ever sees half a model: the files of one commit appear together.
        commit = api.create_commit(repo, changes, commit_message=message)
    if tag:
        try:
            with hub.explained(name):
                api.create_tag(repo, tag=tag, revision=commit.oid)
        except InputError as error:
            raise InputError(
                f"The model is published as {name}@{commit.oid}, but without the tag {tag}. {error}"
            ) from error
    return Published(str(page), name, f"{name}@{tag or commit.oid}", bool(info.private))
