"""Models on the Hugging Face Hub: hf://user/name or hf://user/name@revision in place of a folder.

huggingface_hub does the work and keeps what it fetched in its cache, ~/.cache/huggingface.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import re
import textwrap
from collections.abc import Iterator, Sequence

from tf_mmdvlae.common.errors import InputError, first_line
from tf_mmdvlae.common.extras import require_packages

_PREFIX = "hf://"
_NAME = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([^\s@]+))?", re.ASCII)
LOGIN = "`hf auth login`, or HF_TOKEN=<token>, gives this machine a token of huggingface.co"


def is_on_hub(place: pathlib.Path | str) -> bool:
    """Whether a place is the name of a model on the Hub, well-formed or not, and no folder."""
    return str(place).startswith(_PREFIX)


def parse_name(name: str) -> tuple[str, str | None]:
    """("user/name", revision or None) of a name on the Hub; an `InputError` if it is none."""
    match = _NAME.fullmatch(name)
    if not match:
        raise InputError(
            f"{name} is no name of a model on the Hugging Face Hub; such names are hf://user/name "
            "and hf://user/name@revision, with a branch, a tag or a commit as the revision."
        )
    return match[1], match[2]


def local_copy(
    place: pathlib.Path | str, needed: str, files: Sequence[str], missing: str
) -> pathlib.Path:
    """The folder of a model: `place` itself, or for a name on the Hub its copy in the cache.

    What the cache lacks is fetched. A name without a revision is that of the newest model that the
    Hub has or, where the Hub can't be reached, of the newest one in the cache.

    Args:
      place: a folder, or a name on the Hub.
      needed: the file by which a model of the kind is known.
      files: patterns of the files to fetch.
      missing: what the name lacks where it has no such file, for the message.

    Raises:
      InputError: if there is no model of this name or kind, or it can't be fetched.
    """
    if not is_on_hub(place):
        return pathlib.Path(place)
    name = str(place)
    repo, revision = parse_name(name)
    require_packages(name, "hub", ["huggingface_hub"])
    from huggingface_hub import errors, hf_hub_download

    with explained(name):
        try:
            # Other people's models may be large.
            file = pathlib.Path(hf_hub_download(repo, needed, revision=revision))
        except errors.RemoteEntryNotFoundError as error:
            raise InputError(f"{name} holds no {missing}: it has no {needed}.") from error
        commit = file.parents[needed.count("/")].name
        return _copy_of_commit(repo, commit, tuple(files))


@functools.cache
def _copy_of_commit(repo, commit, files):
    """The copy of what never changes; a command that asks twice shows the fetching once."""
    from huggingface_hub import snapshot_download

    return pathlib.Path(snapshot_download(repo, revision=commit, allow_patterns=list(files)))


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns what huggingface_hub raises in the block about a name into an `InputError`."""
    from huggingface_hub import errors

    repo = name.removeprefix(_PREFIX).partition("@")[0]
    try:
        yield
    except InputError:
        raise
    except errors.GatedRepoError as error:
        raise InputError(
            f"{name} is given to those only who asked for it at https://huggingface.co/{repo}. "
            f"{LOGIN}."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"{name} is not on the Hub, or it is private and this machine may not see it. {LOGIN}."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(
            f"{name}: {repo} has no branch, tag or commit of this name; "
            f"https://huggingface.co/{repo}/tree/main lists them."
        ) from error
    except errors.LocalEntryNotFoundError as error:
        reason = first_line(error.__cause__ or error)
        raise InputError(
            f"{name} is not in the cache of huggingface_hub, or not all of it, and the Hub can't "
            f"be reached ({reason})."
        ) from error
    except errors.HFValidationError as error:
        raise InputError(f"{name} is no name on the Hub: {first_line(error)}") from error
    except Exception as error:  # Each part of huggingface_hub has exceptions of its own.
        status = getattr(getattr(error, "response", None), "status_code", None)
        advice = f" {LOGIN}." if status in (401, 403) else ""
        # The first line often lacks what the Hub says.
        reason = textwrap.shorten(str(error) or repr(error), 300, placeholder=" ...")
        raise InputError(f"{name}: a request to the Hub failed: {reason}{advice}") from error
