"""Whatever is sent, gateway and replica answer it with less than 500, live on, and serve everybody else right."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.target_service.fuzz.served import GOOD, Reply, Served, exchange, good_one_under_way, request_bytes

pytestmark = pytest.mark.process

CHAT = "/v1/chat/completions"
JSON = b"Content-Type: application/json"
OWN = ["/health", "/ready", "/metrics", "/version", "/counters", "/v1/models", "/gateway/state", "/gateway/events"]
PATHS = [
    CHAT,
    *OWN,
    "/faults",
    "/faults/hang",
    "/faults/leak_slots",
    "/v1/",
    "/",
    "/v1/../faults",
    "/gateway/events?since=x",
]
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND"]
HEADERS = [b"Content-Type", b"Accept", b"X-Request-Id", b"X-Probe", b"X-Fault-Token", b"Authorization", b"Cookie",
           b"Expect", b"Content-Encoding", b"Connection", b"Upgrade", b"TE", b"Range", b"Host"]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, 2**64, 0])
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["\ud800", "\x00", "right", "user", "m", "<|im_end|>"])
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
KEYS = ["messages", "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "seed", "stop",
        "stream", "stream_options", "ignore_eos", "logprobs", "user"]  # fmt: skip
messages = st.lists(st.dictionaries(st.sampled_from(["role", "content", "name"]), anything), max_size=3)
header_values = st.binary(max_size=40).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b""))


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    served.until_admitted()
    yield served
    served.close()


@pytest.fixture(params=["replica", "gateway"])
def port(request: pytest.FixtureRequest, served: Served) -> Iterator[int]:
    yield getattr(served, request.param)
    served.assert_unharmed()


@pytest.fixture(scope="module", params=["replica", "gateway"])
def fuzzed(request: pytest.FixtureRequest, served: Served) -> Iterator[int]:
    """The port of one of them; hypothesis needs it for all of a test's examples."""
    yield getattr(served, request.param)
    served.assert_unharmed()


def asked(port: int, body: bytes, *headers: bytes) -> Reply:
    """The answer to a chat request that is well framed: there must be one."""
    with good_one_under_way(port):
        reply = exchange(port, request_bytes("POST", CHAT, body, *headers))
    assert reply is not None, "no answer"
    assert reply.status < 500, reply.body
    if reply.status >= 400:
        reply.error()
    return reply


@given(changes=st.dictionaries(st.sampled_from(KEYS), anything | messages, min_size=1, max_size=4))
@example(changes={"messages": [{"role": [], "content": "x"}]})
@example(changes={"messages": [{"role": "user", "content": "\ud800"}]})
@example(changes={"stop": ["\udfff"]})
@example(changes={"max_tokens": 10**400})
@example(changes={"temperature": float("nan")})
@example(changes={"model": {"a": []}})
def test_a_request_with_parameters_of_any_kind_harms_nobody(fuzzed: int, changes: dict[str, Any]) -> None:
    asked(fuzzed, json.dumps(GOOD | changes).encode(), JSON)


@given(body=st.binary(max_size=200) | anything.map(lambda value: json.dumps(value).encode()))
@example(body=b"[" * 100_000)
@example(body=b'{"a":' * 100_000)
@example(body=b'{"max_tokens": ' + b"9" * 5000 + b"}")
@example(body=b"\xff\xfe")
@example(body=b"\xef\xbb\xbf{}")
@example(body=b"")
def test_a_body_of_any_bytes_is_a_bad_request(fuzzed: int, body: bytes) -> None:
    assert 400 <= asked(fuzzed, body, JSON).status < 500


@given(
    method=st.sampled_from(METHODS),
    path=st.sampled_from(PATHS)
    | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30).map("/".__add__),
    headers=st.lists(st.tuples(st.sampled_from(HEADERS), header_values), max_size=4),
    body=st.binary(max_size=30),
)
def test_any_method_path_and_header_harm_nobody(
    fuzzed: int, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    lines = [name + b": " + value for name, value in headers]
    with good_one_under_way(fuzzed):
        reply = exchange(fuzzed, request_bytes(method, path, body, *lines), method, wait_s=2.0)
    # No answer at all is right for what is not HTTP, or asks for another protocol.
    assert reply is None or reply.status < 500


@pytest.mark.parametrize("path", [CHAT, "/health", "/nothing"])
@pytest.mark.parametrize("value", [b"\x80", b"miracles"])
def test_an_expectation_that_nobody_knows_is_refused_on_every_path(port: int, path: str, value: bytes) -> None:
    reply = exchange(port, request_bytes("POST", path, b"{}", b"Expect: " + value))
    assert reply is not None
    assert reply.status == 417
    assert reply.error()["code"] == 417


@given(data=st.binary(max_size=300))
@example(data=b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
@example(data=b"GET / HTTP/9.9\r\n\r\n")
@example(data=b"GET /health HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 100_000 + b"\r\n\r\n")
@example(data=b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n")
@example(data=b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n")
@example(data=b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")
@example(data=b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde")
@example(
    data=b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
)
@example(data=b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nno\r\n")
@example(data=b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n")
@example(data=b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
def test_bytes_that_are_no_http_harm_nobody(fuzzed: int, data: bytes) -> None:
    with good_one_under_way(fuzzed):
        reply = exchange(fuzzed, data, wait_s=0.2)
    assert reply is None or reply.status < 500


@pytest.mark.parametrize("cut", [1, 30, 80, -1])
def test_a_request_that_breaks_off_harms_nobody(port: int, cut: int) -> None:
    data = request_bytes("POST", CHAT, json.dumps(GOOD).encode(), JSON)
    with good_one_under_way(port):
        assert exchange(port, data[:cut], wait_s=0.2) is None


def test_requests_in_one_piece_are_answered_in_order(port: int) -> None:
    good, bad = request_bytes("POST", CHAT, json.dumps(GOOD).encode(), JSON), request_bytes("POST", CHAT, b"{", JSON)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(bad + good + bad + good)
        data = b""
        while data.count(b'"right"') < 2:
            piece = connection.recv(65536)
            assert piece, data
            data += piece
    statuses = [int(part.split()[0]) for part in data.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [400, 200, 400, 200]


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ([JSON], b"x" * (4 * 2**20 + 1), 413),
        ([JSON], json.dumps(GOOD | {"messages": [{"role": "user", "content": "a" * 300_000}]}).encode(), 400),
        ([JSON], json.dumps(GOOD | {"messages": [{"role": "user", "content": ""}] * 20_000}).encode(), 400),
        ([JSON], json.dumps(GOOD | {"stop": ["x"] * 17}).encode(), 400),
        ([JSON], json.dumps(GOOD | {"temperature": 3}).encode(), 400),
        ([JSON], json.dumps(GOOD | {"model": "gpt-5"}).encode(), 404),
        ([b"Content-Type: text/plain"], json.dumps(GOOD).encode(), 415),
        ([b"Content-Type: application/json; charset=nonsense"], json.dumps(GOOD).encode(), 200),
        ([], json.dumps(GOOD).encode(), 200),
        ([JSON, b"Content-Encoding: gzip"], gzip.compress(json.dumps(GOOD).encode()), 200),
        ([JSON, b"Content-Encoding: gzip"], b"no gzip", 400),
        ([JSON, b"Content-Encoding: gzip"], gzip.compress(b" " * (64 * 2**20)), 413),
        ([JSON, b"Expect: 100-continue"], json.dumps(GOOD).encode(), 200),
    ],
    # Bodies make no names; the packed one even has a time in it.
    ids=[
        "too_large",
        "long_prompt",
        "many_messages",
        "many_stops",
        "range",
        "model",
        "type",
        "charset",
        "no_type",
        "packed",
        "not_packed",
        "bomb",
        "continue",
    ],
)
def test_each_limit_has_its_status_at_replica_and_gateway(
    port: int, headers: list[bytes], body: bytes, status: int
) -> None:
    with good_one_under_way(port):
        reply = exchange(port, request_bytes("POST", CHAT, body, *headers))
    assert reply is not None
    assert reply.status == status, reply.body[:500]
    if status >= 400:
        reply.error()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", CHAT, 405), ("POST", "/health", 405), ("GET", "/nothing", 404), ("POST", "/v1/nothing", 404)],
)
def test_wrong_methods_and_paths_say_so_as_json(port: int, method: str, path: str, status: int) -> None:
    reply = exchange(port, request_bytes(method, path, b""), method)
    assert reply is not None
    assert reply.status == status
    assert reply.error()["code"] == status
    assert status != 405 or reply.headers["Allow"]


@pytest.mark.parametrize("path", ["http://elsewhere/v1/chat/completions", "/v1/\xff", "/v1/\x80\x81"])
def test_a_target_that_cannot_be_passed_on_is_the_clients_fault(served: Served, path: str) -> None:
    for _ in range(5):
        with good_one_under_way(served.gateway):
            reply = exchange(served.gateway, request_bytes("POST", path, b"{}", JSON))
        assert reply is None or reply.status in (400, 404)
    served.assert_unharmed()


def test_a_header_of_odd_bytes_is_the_clients_fault(served: Served) -> None:
    for _ in range(5):
        with good_one_under_way(served.gateway):
            reply = exchange(served.gateway, request_bytes("POST", CHAT, b"{}", JSON, b"X-Odd: \xff\xfe"))
        assert reply is not None
        assert reply.status == 400
        assert b"X-Odd" in reply.body
    served.assert_unharmed()


@given(name=st.text(max_size=10), body=st.binary(max_size=30) | anything.map(lambda value: json.dumps(value).encode()))
@example(name="hang", body=b"[" * 100_000)
def test_the_fault_endpoints_refuse_what_makes_no_sense(served: Served, name: str, body: bytes) -> None:
    path = f"/faults/{quote(name, safe='', errors='replace')}"
    for method in ("POST", "DELETE"):
        reply = exchange(served.replica, request_bytes(method, path, body, b"X-Fault-Token: sesame"), method)
        assert reply is not None
        assert reply.status < 500, reply.body
