"""Lines of logs as operations and response codes."""

from __future__ import annotations

import json

import pytest

from harness.analysis.log_operations import KIND_MAX, operation_of


def row(**fields: object) -> str:
    return json.dumps({"at": "x", "monotonic_s": 1.5, "log": "access", "method": "POST", "path": "/v1/chat"} | fields)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (row(status=200, outcome="ok"), ("POST /v1/chat 200", "200")),
        (row(status=200, outcome="answered"), ("POST /v1/chat 200", "200")),
        (row(status=200, outcome="truncated"), ("POST /v1/chat 200 truncated", "200 truncated")),
        (row(status=503, outcome="503"), ("POST /v1/chat 503", "503")),
        (row(status=None), ("POST /v1/chat left", "left")),
        ("2026-11-21T01:21:00.1Z " + row(status=404, path="/faults/17?token=x"), ("POST /faults/0 404", "404")),
        ('10.0.0.1 - - [21/Nov/2026:01:21:00 +0000] "GET /a/17 HTTP/1.1" 502 12', ("GET /a/0 502", "502")),
        ('INFO:     127.0.0.1:53112 - "POST /v1/completions HTTP/1.1" 200 OK', ("POST /v0/completions 200", "200")),
        ("28498.500 gateway warning primary missed beat 3", ("gateway warning primary missed beat 0", None)),
        ("2026-11-21 06:51:00,300 INFO spawned: 'x' with pid 12", ("INFO spawned: 'x' with pid 0", None)),
    ],
)
def test_a_line_is_a_kind_of_operation_and_a_code_if_it_is_about_a_request(
    text: str, expected: tuple[str, str]
) -> None:
    kind, code = operation_of(text)
    assert (kind, code) == (expected[0].replace("/v1/", "/v0/"), expected[1])


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"log": "access"', '{"log": ["access"]}', "[" * 3000, "x" * 5000])
def test_a_hostile_line_is_one_more_kind_and_never_an_error(text: str) -> None:
    kind, code = operation_of(text)
    assert len(kind) <= KIND_MAX
    assert code is None
