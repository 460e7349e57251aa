"""A server that speaks the Hugging Face Hub's API, for one repository in a folder."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def git_id(content: bytes) -> str:
    """Git's id of a file of this content."""
    blob = b"blob %d\0" % len(content) + content
    return hashlib.sha1(blob, usedforsecurity=False).hexdigest()


@dataclass
class Hub:
    """The repository, how the server misbehaves, and what it was asked.

    cut: bytes of a large file after which the connection breaks, the first time it is asked for.
    damaged: files of which it sends other bytes than it states, the first time.
    """

    folder: Path
    repository: str = "someone/tiny-t5"
    commit: str = COMMIT
    cut: int | None = None
    damaged: set[str] = field(default_factory=set)
    url: str = ""
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)

    def entry(self, path: Path) -> dict[str, object]:
        """A file as the hub lists it: ONNX files are large ones, with a SHA-256."""
        content = path.read_bytes()
        entry = {
            "type": "file",
            "path": path.relative_to(self.folder).as_posix(),
            "size": len(content),
            "oid": git_id(content),
        }
        if path.suffix == ".onnx":
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
        return entry

    def entries(self) -> list[dict[str, object]]:
        return [self.entry(path) for path in sorted(self.folder.rglob("*")) if path.is_file()]


class Handler(BaseHTTPRequestHandler):
    """One request; the server's `hub` says for what."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """No line for each request."""

    def do_GET(self) -> None:
        hub, path = self.server.hub, urlsplit(self.path).path
        hub.asked.append(f"{self.command} {path}")
        parts = re.fullmatch(
            r"(?:/api/models)?/([^/]+/[^/]+)/(revision|tree|resolve)/([^/]+)(?:/(.+))?", path
        )
        repository, kind, revision, file = parts.groups() if parts else [None] * 4
        if repository != hub.repository:
            self.refuse("RepoNotFound")
        elif revision not in (hub.commit, "main"):
            self.refuse("RevisionNotFound")
        elif kind == "tree":
            self.reply(json.dumps(hub.entries()).encode())
        elif kind == "revision":
            names = [{"rfilename": entry["path"]} for entry in hub.entries()]
            about = {"id": hub.repository, "sha": hub.commit, "siblings": names}
            self.reply(json.dumps(about).encode())
        elif (hub.folder / file).is_file():
            self.send(hub.folder / file)
        else:
            self.refuse("EntryNotFound")

    do_HEAD = do_GET  # noqa: N815 - named by http.server

    def send(self, path: Path) -> None:
        """A file, or what is asked of it."""
        hub, content, entry = self.server.hub, path.read_bytes(), self.server.hub.entry(path)
        if self.command == "GET" and entry["path"] in hub.damaged:
            hub.damaged.remove(entry["path"])
            content = content[:-1] + bytes([content[-1] ^ 1])
        etag = entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]
        headers = {
            "ETag": f'"{etag}"',
            "X-Repo-Commit": hub.commit,
            "X-Linked-Etag": f'"{etag}"',
            "X-Linked-Size": str(len(content)),
            "Accept-Ranges": "bytes",
        }
        if match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            start = int(match[1])
            hub.ranges.append(match[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.reply(content[start:], 206, headers)
        elif hub.cut and "lfs" in entry and self.command == "GET":
            cut, hub.cut = hub.cut, None
            self.reply(content, 200, headers, cut)
        else:
            self.reply(content, 200, headers)

    def refuse(self, code: str) -> None:
        self.reply(b"{}", 404, {"X-Error-Code": code, "X-Error-Message": code})

    def reply(
        self,
        content: bytes,
        status: int = 200,
        headers: dict[str, str] | None = None,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:cut])
        self.close_connection = cut is not None


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub on a free port of 127.0.0.1."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub, server.daemon_threads = hub, True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
