"""Starts the load child where it cannot be started by the driver: `python -m harness.load.hosted SPEC`, in a container.

The echo server of the control lane is started beside it, then this process becomes the child. The echo server's input
is the child's to hold, so it ends when the child does.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from harness.load.spec import LoadSpec

__all__ = ["main"]


def main(spec_path: str) -> int:
    """Does not return when all goes well."""
    path = Path(spec_path)
    spec = LoadSpec.from_json(path.read_text(encoding="utf-8"))
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        fd, port = listener.fileno(), listener.getsockname()[1]
        command = [sys.executable, "-m", "harness.load.echo", "--fd", str(fd)]
        echo = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[fd])
    assert echo.stdin is not None
    os.set_inheritable(echo.stdin.fileno(), True)
    path.write_text(replace(spec, echo_url=f"http://127.0.0.1:{port}").to_json(), encoding="utf-8")
    Path(spec.log_path).touch()
    os.execv(sys.executable, [sys.executable, "-m", "harness.load.child", str(path)])  # noqa: S606


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
