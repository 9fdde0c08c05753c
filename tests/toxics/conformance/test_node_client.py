"""toxiproxy-node-client works unmodified. `make test` installs it where npm is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MODULES = Path(sys.prefix) / "node" / "node_modules"

pytestmark = [
    pytest.mark.official,
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
]


def test_all_that_the_client_covers(server_url: str) -> None:
    assert (MODULES / "toxiproxy-node-client").exists(), "run `make test`, which installs the client with npm"
    done = subprocess.run(
        ["node", str(Path(__file__).with_name("node_client.js")), server_url],
        env={**os.environ, "NODE_PATH": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
