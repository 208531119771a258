"""What a server says of a model, and the errors of asking it."""

from __future__ import annotations

from typing import NamedTuple

from tf_mmdvlae.common.errors import InputError


class Model(NamedTuple):
    """A model on a server, of which a version or a label may be chosen."""

    name: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        version = self.label if self.version is None else self.version
        return self.name if version is None else f"{self.name} ({version})"


class Signature(NamedTuple):
    """A signature as the server describes it.

    Attributes:
      inputs: name -> shape; -1 stands for the number of rows.
      outputs: name -> whether it is of strings.
    """

    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, bool]


def missing(name: str, reason: str) -> InputError:
    """The error for a model, version or label that the server does not have."""
    return InputError(f"{name}: {reason}. Give a model and a version that the server has loaded.")


def unreachable(name: str, reason: object) -> ConnectionError:
    """The error for a server that does not answer as one."""
    reason = " ".join(str(reason).split())[:300]
    return ConnectionError(
        f"{name} can't be asked: {reason}. Check the address, and whether the server is up."
    )
