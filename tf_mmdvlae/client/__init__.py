"""A client of TensorFlow Serving: the functions of an export that runs on a server."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tf_mmdvlae.client.rest import Rest
from tf_mmdvlae.client.signature import Model, Signature
from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.model.functions import in_batches
from tf_mmdvlae.serving.functions import Functions, read_manifest

if TYPE_CHECKING:
    from tf_mmdvlae.client.rpc import Rpc

# Rows of one request: 32 images of 64x64 in colour are 8 MB of JSON, and proxies limit bodies.
_ROWS = 32


class Client(Functions):
    """The functions of an export that a TensorFlow Serving server runs.

    REST needs nothing but NumPy; gRPC needs `pip install tensorflow-serving-api`. The server tells
    the shapes. Only the manifest tells the names of attributes and how training cut pictures:
    without it the server checks the names, and `read` does not work.

    A function sends its rows in requests of at most 32. Threads may share a client.

    Args:
      address: "http://host:8501" or "https://...", with a path in front of /v1 if a proxy wants
        one; for gRPC "grpc://host:8500", or "grpcs://..." with TLS.
      model: the name under which the server knows the export.
      version: the version to be asked, such as 2; None asks what the server takes for the newest.
      label: a label in place of a version, such as "stable".
      manifest: the path of the export's `assets.extra/manifest.json`.
      timeout: the seconds after which a request without an answer fails.
      headers: sent with every request, such as {"authorization": "Bearer ..."}.

    Attributes:
      signatures: name -> the shapes of its inputs and the types of its outputs.

    Raises:
      InputError: if the server lacks the model, or the model is not an export of this package or
        not that of the manifest.
      ConnectionError: if the server does not answer, or answers with something else. Every function
        raises it too.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        manifest: pathlib.Path | str | None = None,
        timeout: float = 60.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if version is not None and label is not None:
            raise InputError(f"Give a version or a label, not both ({version} and {label!r}).")
        self._calls = _calls(address, Model(model, version, label), timeout, headers or {})
        signatures = self._calls.signatures()
        name = self._calls.name
        image_shape, latent_dims = _sizes(name, signatures)
        known: dict[str, Any] = {}
        if manifest is not None:
            known = read_manifest(manifest)
            if (known["image_shape"], known["latent_dims"]) != (image_shape, latent_dims):
                raise InputError(f"{manifest} is of another model than {name}.")
        super().__init__(name, signatures, image_shape, latent_dims, known)

    def _shapes(self, signature):
        return self.signatures[signature].inputs

    def _run(self, signature, inputs):
        def run(rows):
            return self._calls.predict(signature, rows)

        return in_batches(run, inputs, _ROWS)


def _calls(address, *arguments) -> Rest | Rpc:
    scheme, _, rest = address.partition("://")
    if scheme in ("http", "https") and rest:
        return Rest(address, *arguments)
    if scheme in ("grpc", "grpcs") and rest:
        from tf_mmdvlae.client.rpc import Rpc

        return Rpc(address, *arguments)
    raise InputError(f"{address} is no address; give http://host:8501 or grpc://host:8500.")


def _sizes(name: str, signatures: Mapping[str, Signature]) -> tuple[list[int], list[int]]:
    """The shape of an image, and the dimensions of the layers."""
    try:
        codes = signatures["decode"].inputs
        dims = [codes[f"z_{layer}"][1] for layer in range(1, len(codes) + 1)]
        return list(signatures["encode"].inputs["image"][1:]), dims
    except (KeyError, IndexError) as error:
        raise InputError(f"{name} is no export of this package: it lacks {error}.") from error
