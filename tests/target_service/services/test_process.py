"""A replica's process knows its service before its model is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.target_service.replica.test_process import loading

pytestmark = pytest.mark.process


@pytest.mark.parametrize(("options", "service"), [([], "chord"), (["--service", "autoglm"], "autoglm")])
def test_the_folder_or_the_option_says_which_service_it_is(tmp_path: Path, options: list[str], service: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    with loading(tmp_path, *options) as connection:
        connection.sendall(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n")
        assert json.loads(connection.recv(65536).split(b"\r\n\r\n", 1)[1])["service"] == service
        found = b"404" if service == "autoglm" else b"503"
        connection.sendall(b"POST /api/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert connection.recv(65536).split()[1] == found
