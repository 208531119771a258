"""TensorFlow Serving's REST interface.

Source: https://www.tensorflow.org/tfx/serving/api_rest.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_mmdvlae.client.signature import Model, Signature, missing, unreachable
from tf_mmdvlae.serving.functions import refusal


class Rest:
    """Calls of one model. `name` is what messages call it."""

    def __init__(
        self, address: str, model: Model, timeout: float, headers: Mapping[str, str]
    ) -> None:
        address = address.rstrip("/")
        self.name = f"{model} at {address}"
        self._place = f"{address}/v1/models/{_quoted(model.name)}"
        if model.version is not None:
            self._place += f"/versions/{model.version}"
        if model.label is not None:
            self._place += f"/labels/{_quoted(model.label)}"
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json", **headers}
        self._signatures: dict[str, Signature] = {}

    def signatures(self) -> dict[str, Signature]:
        """Asks for the model's signatures."""
        answer = self._answer("/metadata")
        try:
            table = answer["metadata"]["signature_def"]["signature_def"]
            self._signatures = {
                name: Signature(
                    {key: _shape(tensor) for key, tensor in each["inputs"].items()},
                    {
                        key: tensor["dtype"] == "DT_STRING"
                        for key, tensor in each["outputs"].items()
                    },
                )
                for name, each in table.items()
                # TensorFlow's own, which has no inputs.
                if not name.startswith("__")
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise unreachable(self.name, "its answer is not TensorFlow Serving's") from error
        return self._signatures

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature: input -> array [n, ...] to output -> array [n, ...]."""
        body = {
            "signature_name": signature,
            "inputs": {name: _json(values) for name, values in inputs.items()},
        }
        answer = self._answer(":predict", json.dumps(body).encode())
        kinds = self._signatures[signature].outputs
        try:
            outputs = answer["outputs"]
            # The server leaves out the name of a single output.
            outputs = outputs if len(kinds) > 1 else dict.fromkeys(kinds, outputs)
            return {name: _array(outputs[name], kind) for name, kind in kinds.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise unreachable(self.name, "its answer is not TensorFlow Serving's") from error

    def _answer(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(self._place + path, body, self._headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            reason, is_servers = _reason(error)
            if is_servers and error.code == 400:
                raise refusal(reason) from error
            if is_servers and error.code == 404:
                raise missing(self.name, reason) from error
            raise ConnectionError(
                f"{self.name} answers {error.code} {reason}. Ask less at a time, or later, or see "
                "what stands before the server."
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise unreachable(self.name, getattr(error, "reason", error)) from error


def _quoted(name):
    return urllib.parse.quote(name, safe="")


def _shape(tensor):
    return tuple(int(edge["size"]) for edge in tensor["tensor_shape"]["dim"])


def _json(values):
    """Rows as JSON has them; strings are bytes, and perhaps no text."""
    if values.dtype != object:
        return values.tolist()
    return [{"b64": base64.b64encode(os.fsencode(value)).decode()} for value in values]


def _array(values, is_string):
    if not is_string:
        return np.array(values, np.float32)
    contents = [
        base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()
        for value in values
    ]
    return np.array(contents, object)


def _reason(error):
    """What a refusal says, and whether TensorFlow Serving says it or something before it."""
    try:
        return str(json.loads(error.read())["error"]), True
    except (OSError, http.client.HTTPException, KeyError, TypeError, ValueError):
        return error.reason, False
