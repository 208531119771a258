"""The server of the page: pages and numbers, to browsers on this machine alone."""

from __future__ import annotations

import http.server
import importlib.resources
import json
import mimetypes
import sys
import urllib.parse
from typing import Any

import numpy as np

from tf_mmdvlae.common.errors import InputError
from tf_mmdvlae.explorer.subject import Subject

MAX_BYTES = 20_000_000
"""Larger requests are refused."""

# So many pictures are given at once.
_MOST_ROWS = 600
_HOSTS = ("127.0.0.1", "localhost")
POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src blob:; base-uri 'none'; "
    "form-action 'none'"
)
"""By this content security policy the browser refuses whatever would leave the machine."""

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
}


class _Refusal(Exception):
    """A request that can't be answered: status and reason."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class Server(http.server.ThreadingHTTPServer):
    """Serves the page of a subject at 127.0.0.1; `serve_forever` runs until it is interrupted.

    request              answer
    -------------------  -----------------------------------------------------------------
    GET /about           JSON: `Subject.about`
    GET /draw?seed=&count=  rows: random codes and their pictures
    GET /examples        rows: the example pictures and their codes; none where there are none
    POST /encode         one row: the codes of the picture file in the body, and its centre
    POST /find           JSON: "points", what `Subject.find` finds in the picture file in the body
    POST /decode         the pictures uint8 [n, H, W, C] of the codes float32 [n, D] in the body
    GET /<file>          a file of the page

    A row is codes float32 [D], little-endian, and a picture uint8 [H, W, C] behind them. Errors are
    sentences in plain text. Requests with another Host header, from other origins, and of more than
    `MAX_BYTES` are refused.

    Args:
      subject: what is explored.
      port: a free port of this machine; 0 lets the system choose.

    Raises:
      InputError: if the port can't be had.
    """

    daemon_threads = True

    def __init__(self, subject: Subject, port: int = 0):
        self.subject = subject
        folder = importlib.resources.files("tf_mmdvlae.explorer") / "page"
        self.files = {f"/{file.name}": file.read_bytes() for file in folder.iterdir()}
        self.files["/"] = self.files["/index.html"]
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "it must be from 0 to 65535"
            raise InputError(f"--port={port} can't be used: {reason}. Try another.") from error

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing about browsers that hang up, as they do with overtaken requests."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    timeout = 300
    # One packet per answer, sent at once: a slider should not wait for the network's timers.
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        table = {"/about": self._about, "/draw": self._draw, "/examples": self._examples}
        self._answer(table, self._file)

    def do_POST(self):
        table = {"/encode": self._encode, "/find": self._find, "/decode": self._decode}
        self._answer(table, self._nothing)

    def log_message(self, format, *arguments):
        pass

    def version_string(self):
        return "tf_mmdvlae"

    def _answer(self, table, otherwise):
        try:
            self._require_own()
            self.url = urllib.parse.urlsplit(self.path)
            kind, content = table.get(self.url.path, otherwise)()
            status = 200
        except _Refusal as refusal:
            status, kind, content = refusal.status, "text/plain", str(refusal).encode()
            # What is left of the body would be taken for the next request.
            self.close_connection = True
        except InputError as error:
            status, kind, content = 400, "text/plain", str(error).encode(errors="replace")
        is_text = kind.startswith("text/") or "json" in kind
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if is_text else kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def _require_own(self):
        """Refuses pages of the internet that ask through the user's browser."""
        host = self.headers.get("Host", "")
        if host.rpartition(":")[0] not in _HOSTS and host not in _HOSTS:
            raise _Refusal(403, "This server answers 127.0.0.1 and localhost only.")
        if self.headers.get("Origin", f"http://{host}") != f"http://{host}":
            raise _Refusal(403, "This server answers its own page only.")

    def _body(self):
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _Refusal(411, "The request must say its length.")
        if len(length) > 12 or int(length) > MAX_BYTES:
            raise _Refusal(413, f"This is larger than {MAX_BYTES // 1_000_000} MB, the most here.")
        return self.rfile.read(int(length))

    def _file(self):
        content = self.server.files.get(self.url.path)
        if content is None:
            self._nothing()
        kind, _ = mimetypes.guess_type(self.url.path)
        kind = "text/javascript" if self.url.path.endswith(".js") else kind or "text/html"
        return kind, content

    def _nothing(self):
        raise _Refusal(404, "There is nothing at this address.")

    def _about(self):
        return "application/json", json.dumps(self.server.subject.about).encode()

    def _draw(self):
        query = dict(urllib.parse.parse_qsl(self.url.query))
        try:
            seed, count = int(query["seed"]), int(query["count"])
        except (KeyError, ValueError):
            raise InputError("Draws need a seed and a count, whole numbers.") from None
        if not (0 <= seed < 2**32 and 1 <= count <= _MOST_ROWS):
            raise InputError(f"A seed is at least 0, and a count from 1 to {_MOST_ROWS}.")
        return _BINARY, rows(*self.server.subject.draw(np.arange(seed, seed + count)))

    def _examples(self):
        return _BINARY, rows(*self.server.subject.examples())

    def _encode(self):
        return _BINARY, rows(*self.server.subject.encode(self._body()))

    def _find(self):
        points = self.server.subject.find(self._body())
        answer = {"points": None if points is None else points.round(2).tolist()}
        return "application/json", json.dumps(answer).encode()

    def _decode(self):
        body, width = self._body(), 4 * self.server.subject.dimensions
        if not body or len(body) % width or len(body) > width * _MOST_ROWS:
            raise InputError(
                f"A code has {width // 4} numbers of 4 bytes each, and 1 to {_MOST_ROWS} codes are "
                f"decoded at once; {len(body)} bytes are not that."
            )
        codes = np.frombuffer(body, "<f4").reshape(-1, width // 4)
        return _BINARY, self.server.subject.decode(codes).tobytes()


_BINARY = "application/octet-stream"


def rows(codes: np.ndarray, pictures: np.ndarray) -> bytes:
    """Codes [n, D] and pictures uint8 [n, H, W, C] as the page reads them; see `Server`."""
    codes = np.ascontiguousarray(codes, "<f4")
    return b"".join(
        code.tobytes() + picture.tobytes() for code, picture in zip(codes, pictures, strict=True)
    )
