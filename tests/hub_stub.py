"""A stand-in for the Hugging Face Hub on 127.0.0.1: what huggingface_hub asks of it, in memory.

It gives back what it was sent. Large files go by Git LFS, whose SHA-256 the client computes.
"""

from __future__ import annotations

import base64
import contextlib
import fnmatch
import hashlib
import json
import secrets
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER, TOKEN = "me", "hf_a_token_that_may_write"
FILE = "/{repo_id}/resolve/{revision}/{filename}"
"""Where a file is, as huggingface_hub names it."""

_LARGE = ("*.pb", "*.keras", "variables/*", "*.npz")


class Stub:
    """The models on the Hub.

    Attributes:
      models: "user/name" -> {"private", "commits": {sha: {path: content}} in their order, "tags"}.
      requests: (method, path) of each request.
      address: the endpoint.
      branches: of each model; all but "main" are names alone.
      yaml_errors: what the check of a card's metadata finds.
    """

    def __init__(self):
        self.models, self.requests, self.lfs, self.yaml_errors = {}, [], {}, []
        self.branches = ["main"]
        self.address = ""

    def add(self, repo, files, private=False):
        """Puts a model there; returns the commit."""
        model = self.models.setdefault(repo, {"private": private, "commits": {}, "tags": {}})
        sha = secrets.token_hex(20)
        model["commits"][sha] = files
        return sha

    def files(self, repo, revision="main"):
        """The files of a model: path -> content."""
        return self.models[repo]["commits"][self.commit(repo, revision)]

    def commit(self, repo, revision):
        """The commit of a revision; None if there is none."""
        model = self.models[repo]
        if revision == "main":
            return list(model["commits"])[-1]
        sha = model["tags"].get(revision, revision)
        return sha if sha in model["commits"] else None

    @contextlib.contextmanager
    def serving(self):
        """Answers requests for the length of a block; yields what stops it before."""
        handler = type("Handler", (_Handler,), {"stub": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()

        def stop():
            server.shutdown()
            server.server_close()
            thread.join()

        try:
            yield stop
        finally:
            stop()


class _Refused(Exception):
    def __init__(self, status, code="", message="", **body):
        super().__init__(message)
        self.status, self.code, self.body = status, code, {"error": message, **body}


class _Handler(BaseHTTPRequestHandler):
    stub: Stub

    def log_message(self, *arguments):
        pass

    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        self.stub.requests.append((self.command, path))
        try:
            headers, content = self._content(path.strip("/").split("/"), body)
            status = 200
        except _Refused as error:
            status, content = error.status, json.dumps(error.body).encode()
            headers = {"X-Error-Code": error.code, "X-Error-Message": str(error)}
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = _answer  # noqa: N815

    def _content(self, parts, body):
        match parts:
            case ["api", "repos", "create"]:
                return self._json(self._created(json.loads(body)))
            case ["api", "validate-yaml"]:
                if self.stub.yaml_errors:
                    raise _Refused(400, errors=self.stub.yaml_errors, warnings=[])
                return self._json({"errors": [], "warnings": []})
            case ["api", "models", user, name, *rest]:
                repo = self._visible(f"{user}/{name}")
                return self._json(self._of_model(repo, rest, body))
            case ["lfs", oid]:
                assert hashlib.sha256(body).hexdigest() == oid
                self.stub.lfs[oid] = body
                return {}, b""
            case [user, name, "info", "lfs", "objects", "batch"]:
                self._visible(f"{user}/{name.removesuffix('.git')}")
                objects = [
                    {**sent, "actions": {"upload": {"href": f"{self.stub.address}/lfs/{oid}"}}}
                    for sent in json.loads(body)["objects"]
                    if (oid := sent["oid"])
                ]
                return self._json({"transfer": "basic", "objects": objects})
            case [user, name, "resolve", revision, *path]:
                return self._file(self._visible(f"{user}/{name}"), revision, "/".join(path))
        raise _Refused(404, message=self.path)

    def _json(self, content):
        return {"Content-Type": "application/json"}, json.dumps(content).encode()

    @property
    def _may_write(self):
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _visible(self, repo):
        model = self.stub.models.get(repo)
        if model is None or (model["private"] and not self._may_write):
            raise _Refused(401 if not self._may_write else 404, "RepoNotFound", "not found")
        return repo

    def _created(self, request):
        if not self._may_write:
            raise _Refused(401, message="Invalid username or password.")
        if request["organization"] != USER:
            raise _Refused(403, message="You don't have the rights to create a model there")
        repo = f"{request['organization']}/{request['name']}"
        url = f"{self.stub.address}/{repo}"
        if repo in self.stub.models:
            raise _Refused(409, message="You already created this model repo", url=url)
        private = request.get("visibility") == "private" or bool(request.get("private"))
        self.stub.add(repo, {".gitattributes": b""}, private)
        return {"url": url, "name": repo}

    def _of_model(self, repo, rest, body):
        match rest:
            case [] | ["revision", *_]:
                sha = self._commit(repo, "/".join(rest[1:]) or "main")
                files = self.stub.files(repo, sha)
                private = self.stub.models[repo]["private"]
                siblings = [{"rfilename": path} for path in files]
                return {"id": repo, "sha": sha, "private": private, "siblings": siblings}
            case ["tree", revision]:
                files = self.stub.files(repo, self._commit(repo, revision))
                return [self._entry(path, content) for path, content in files.items()]
            case ["refs"]:
                tags = self.stub.models[repo]["tags"]
                refs = [
                    {"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": sha}
                    for tag, sha in tags.items()
                ]
                branches = [
                    {"name": name, "ref": f"refs/heads/{name}", "targetCommit": "0" * 40}
                    for name in self.stub.branches
                ]
                return {"branches": branches, "converts": [], "tags": refs}
            case ["preupload", _]:
                if not self._may_write:
                    raise _Refused(403, message="You don't have the rights to write there")
                modes = [
                    {
                        "path": (path := file["path"]),
                        "uploadMode": "lfs" if _is_large(path) else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(body)["files"]
                ]
                return {"files": modes}
            case ["commit", "main"]:
                sha = self._committed(repo, [json.loads(line) for line in body.splitlines()])
                return {"commitUrl": f"{self.stub.address}/{repo}/commit/{sha}", "commitOid": sha}
            case ["tag", revision]:
                tag = json.loads(body)["tag"]
                self.stub.models[repo]["tags"][tag] = self._commit(repo, revision)
                return {}
        raise _Refused(404, message=self.path)

    def _commit(self, repo, revision):
        sha = self.stub.commit(repo, revision)
        if sha is None:
            raise _Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    def _committed(self, repo, operations):
        files = dict(self.stub.files(repo))
        for operation in operations:
            value = operation["value"]
            match operation["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.stub.lfs[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        return self.stub.add(repo, files)

    def _entry(self, path, content):
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry = {"type": "file", "path": path, "size": len(content), "oid": oid}
        if _is_large(path):
            sha256 = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
        return entry

    def _file(self, repo, revision, path):
        sha = self._commit(repo, revision)
        content = self.stub.files(repo, sha).get(path)
        if content is None:
            raise _Refused(404, "EntryNotFound", "Entry not found")
        entry = self._entry(path, content)
        etag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
        return {"X-Repo-Commit": sha, "ETag": f'"{etag}"'}, content


def _is_large(path):
    return any(fnmatch.fnmatch(path, pattern) for pattern in _LARGE)
