"""An export, and if asked the run that it is of, sent to the Hugging Face Hub."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import tempfile

from tf_mmdvlae import __version__
from tf_mmdvlae.common import hub
from tf_mmdvlae.common.errors import InputError, explained
from tf_mmdvlae.common.extras import require_packages
from tf_mmdvlae.config import unversioned
from tf_mmdvlae.serving.loaded import MANIFEST, Served, load, manifest_of, newest_version
from tf_mmdvlae.serving.manifest import without_places
from tf_mmdvlae.serving.model_card import REFUSED, SHOWN, hub_card
from tf_mmdvlae.training.workdir import Workdir

_CARD, _SAMPLES, _EXAMPLES = "README.md", "samples.png", "assets.extra/examples.png"
_SAMPLE_COUNT = 16
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
        name is taken by something else, or the Hub refuses. Nothing is published then.
    """
    repo, tag = hub.parse_name(to)
    path = newest_version(export)
    manifest = manifest_of(path)
    dataset = unversioned(manifest.get("dataset") or "")
    if dataset in REFUSED and not rights:
        raise InputError(
            f"{export} was trained on {manifest['dataset']}: {REFUSED[dataset]}. Nothing was "
            "published; --i_have_the_rights says that you have the rights to publish it."
        )
    run = {} if workdir is None else _run_files(workdir, export, manifest)
    require_packages(f"--to={to}", "hub", ["huggingface_hub"])
    _require_token(to)
    files: dict[str, bytes | pathlib.Path] = {
        file.relative_to(path).as_posix(): file
        for file in sorted(path.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    } | run
    # What can't be loaded is not worth publishing.
    served = load(path)
    if workdir is not None:
        from tf_mmdvlae.training.run import load_run

        load_run(workdir)
    if dataset in SHOWN:
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
    config = without_places(folder.read_finished_config().to_dict())
    if without_places(folder.read_metrics()["config"]) != manifest.get("config"):
        raise InputError(
            f"{export} is not an export of the run in {workdir} as it is now; give another one, or "
            "export the run again: bin/export."
        )
    return {"model.keras": folder.model_file, "config.json": json.dumps(config, indent=2).encode()}


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
        if tag and tag in {ref.name for ref in api.list_repo_refs(repo).tags}:
            raise InputError(f"{name} has a tag {tag} already, which stays; choose another tag.")
        old = {file for file in there if file in _FILES or file.startswith(_FOLDERS)} - {*files}
        changes = [
            *(CommitOperationAdd(file, content) for file, content in files.items()),
            *(CommitOperationDelete(file) for file in sorted(old)),
        ]
        # Nobody ever sees half a model: the files of one commit appear together.
        commit = api.create_commit(repo, changes, commit_message=message)
        if tag:
            api.create_tag(repo, tag=tag, revision=commit.oid)
    return Published(str(page), name, f"{name}@{tag or commit.oid}", bool(info.private))
