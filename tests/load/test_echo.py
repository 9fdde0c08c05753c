"""The echo server as a process, and what the harness's process must not import."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process


def test_echo_answers_on_a_kept_connection_and_ends_with_its_stdin() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "harness.load.echo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        connection = http.client.HTTPConnection("127.0.0.1", json.loads(server.stdout.readline())["port"], timeout=5)
        for path, status in (("/echo", 200), ("/echo", 200), ("/other", 404)):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.will_close) == (status, False)
        connection.request("GET", "/echo", headers={"Connection": "close"})
        answer = connection.getresponse()
        assert (answer.read(), answer.will_close) == (b"ok\n", True)
        connection.close()
        server.stdin.close()
        assert server.wait(10) == 0


def test_the_harness_itself_imports_neither_locust_nor_gevent() -> None:
    code = (
        "import sys, harness.load.driver, harness.load.warmup, harness.load.bodies, harness.load.child;"
        "assert not {'locust', 'gevent', 'geventhttpclient'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
