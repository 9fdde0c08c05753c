"""As much of a model hub as a download needs, on loopback: what it holds, and how it fails."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

REPOSITORY = "tiny/chat"
COMMIT = "0" * 39 + "1"


class Hub(ThreadingHTTPServer):
    """Holds a folder as REPOSITORY; with another status, or after so long a silence, each answer is that."""

    daemon_threads = True

    def __init__(self, folder: Path, status: int, silent_s: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.status, self.silent_s = folder, status, silent_s

    def handle_error(self, *_: object) -> None:
        """A client that hung up is what these tests are about."""

    def answer(self, path: str) -> tuple[int, bytes]:
        files = sorted(self.folder.iterdir())
        if self.status != 200:
            return self.status, b'{"error": "gone"}'
        if path.startswith(f"/api/models/{REPOSITORY}/tree/"):
            return 200, json.dumps([_entry(file) for file in files]).encode()
        if path.startswith(f"/api/models/{REPOSITORY}"):
            siblings = [{"rfilename": file.name} for file in files]
            return 200, json.dumps({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}).encode()
        found = [file.read_bytes() for file in files if file.name == path.rpartition("/")[2]]
        return (200, found[0]) if found else (404, b"{}")


class Handler(BaseHTTPRequestHandler):
    """A connection for every request: one that is kept would outlive the hub."""

    def do_GET(self) -> None:
        here = cast(Hub, self.server)
        time.sleep(here.silent_s)
        status, body = here.answer(self.path.partition("?")[0])
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hub(folder: Path, *, status: int = 200, silent_s: float = 0.0) -> Iterator[str]:
    """The hub's URL, while it is up."""
    with Hub(folder, status, silent_s) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _entry(file: Path) -> dict[str, object]:
    oid = hashlib.sha1(file.read_bytes()).hexdigest()
    return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": oid}
