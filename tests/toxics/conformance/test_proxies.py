from __future__ import annotations

import re
import socket

import pytest

from tests.toxics.client import Client, connected
from tests.toxics.upstreams import Upstream, refused, reset_at_once

pytestmark = pytest.mark.official

NOT_FOUND = (404, "proxy not found")


async def test_the_version_is_shown_with_its_space_and_newline(api: Client) -> None:
    answer = await api.call("GET", "/version")
    assert (answer.status, answer.text) == (200, '{"version": "2.12.0"}\n')
    assert answer.type == "application/json;charset=utf-8"
    assert answer.headers["X-Toxiproxy-Request-Id"]


async def test_without_a_proxy_the_list_is_empty(api: Client) -> None:
    answer = await api.call("GET", "/proxies")
    assert (answer.status, answer.type, answer.text) == (200, "application/json", "{}")


async def test_a_proxy_is_created_enabled_and_says_where_it_listens(api: Client) -> None:
    made = await api.call("POST", "/proxies", {"name": "p", "listen": "localhost:0", "upstream": "localhost:1"})
    assert (made.status, made.type) == (201, "application/json")
    assert not made.text.endswith("\n")
    found = made.json
    assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", found.pop("listen"))
    found.pop("Logger", None)
    assert found == {"name": "p", "upstream": "localhost:1", "enabled": True, "toxics": []}
    assert (await api.call("GET", "/proxies/p")).json == made.json
    assert (await api.call("GET", "/proxies")).json == {"p": made.json}


@pytest.mark.parametrize("listen", ["", ":0", "0.0.0.0:0", "[::]:0"])
async def test_all_interfaces_are_both_families(api: Client, listen: str) -> None:
    made = await api.call("POST", "/proxies", {"name": "p", "listen": listen, "upstream": "u:1"})
    assert re.fullmatch(r"\[::\]:[1-9]\d*" if socket.has_dualstack_ipv6() else r"0\.0\.0\.0:\d+", made.json["listen"])


async def test_a_disabled_proxy_keeps_what_was_written(api: Client) -> None:
    body = {"name": "p", "listen": "nonsense", "upstream": "u:1", "enabled": False}
    made = await api.call("POST", "/proxies", body)
    assert (made.status, made.json["listen"], made.json["enabled"]) == (201, "nonsense", False)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "bad request body: EOF"),
        (b'{"name"', "bad request body: unexpected EOF"),
        (b"[]", "bad request body: json: cannot unmarshal"),
        (b'{"name": 1}', "bad request body: json: cannot unmarshal"),
        (b"{}", "missing required field: name"),
        (b"null", "missing required field: name"),
        (b'{"name": "p"}', "missing required field: upstream"),
        (b'{"name": "p", "upstream": null}', "missing required field: upstream"),
    ],
)
async def test_what_a_proxy_lacks_is_said(api: Client, body: bytes, error: str) -> None:
    answer = await api.call("POST", "/proxies", body)
    status, message = answer.error
    assert status == 400 and message.startswith(error)
    assert answer.type == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.text.endswith("}\n")


async def test_what_follows_the_json_is_ignored_and_case_is_too(api: Client) -> None:
    body = b'{"NAME": "p", "Listen": "127.0.0.1:0", "upSTREAM": "u:1", "more": [1]} trailing'
    assert (await api.call("POST", "/proxies", body)).status == 201


async def test_a_name_can_be_used_once(api: Client) -> None:
    await api.proxy("u:1")
    body = {"name": "p", "listen": "127.0.0.1:0", "upstream": "u:1"}
    assert (await api.call("POST", "/proxies", body)).error == (409, "proxy already exists")


@pytest.mark.parametrize(
    ("listen", "error"),
    [
        ("localhost", "listen tcp: address localhost: missing port in address"),
        ("127.0.0.1:99999", "listen tcp: address 99999: invalid port"),
        ("127.0.0.1:1:1", "listen tcp: address 127.0.0.1:1:1: too many colons in address"),
    ],
)
async def test_an_address_that_is_none_is_gos_sentence(api: Client, listen: str, error: str) -> None:
    answer = await api.call("POST", "/proxies", {"name": "p", "listen": listen, "upstream": "u:1"})
    assert answer.error == (500, error)
    assert (await api.call("GET", "/proxies")).text == "{}"


async def test_a_port_in_use_is_gos_sentence(api: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = await api.call("POST", "/proxies", {"name": "p", "listen": listen, "upstream": "u:1"})
    assert answer.error == (500, f"listen tcp {listen}: bind: address already in use")


@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_an_empty_update_keeps_the_connections(api: Client, upstream: Upstream, method: str) -> None:
    address = await api.proxy(upstream.address)
    async with await connected(address) as peer:
        assert await peer.ask(b"before") == b"before"
        answer = await api.call(method, "/proxies/p", {"name": "other", "toxics": [1]})
        assert (answer.status, answer.json["name"]) == (200, "p")
        assert await peer.ask(b"after") == b"after"


async def test_another_upstream_ends_the_connections_and_keeps_toxics_and_port(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    await api.toxic("noop")
    async with await connected(address) as peer, Upstream() as other:
        await peer.ask(b"x")
        answer = await api.call("PATCH", "/proxies/p", {"upstream": other.address})
        assert await peer.rest() == b""
        assert answer.json["listen"] == f"{address[0]}:{address[1]}"
        assert [toxic["name"] for toxic in answer.json["toxics"]] == ["noop_downstream"]
        async with await connected(address) as again:
            assert await again.ask(b"y") == b"y"
        assert other.received == 1


async def test_an_empty_upstream_is_taken(api: Client) -> None:
    await api.proxy("u:1")
    answer = await api.call("PATCH", "/proxies/p", {"upstream": ""})
    assert (answer.status, answer.json["upstream"]) == (200, "")


async def test_a_bad_address_changes_nothing(api: Client) -> None:
    await api.proxy("u:1")
    before = (await api.call("GET", "/proxies/p")).json
    answer = await api.call("PATCH", "/proxies/p", {"listen": "localhost", "enabled": False})
    assert answer.error[0] == 500
    assert "missing port in address" in answer.error[1]
    assert (await api.call("GET", "/proxies/p")).json == before


async def test_a_port_conflict_leaves_the_proxy_disabled_with_the_new_address(api: Client) -> None:
    await api.proxy("u:1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        answer = await api.call("PATCH", "/proxies/p", {"listen": listen})
    assert answer.error == (500, f"listen tcp {listen}: bind: address already in use")
    found = (await api.call("GET", "/proxies/p")).json
    assert (found["enabled"], found["listen"]) == (False, listen)


async def test_disabling_refuses_new_connections_and_ends_open_ones(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    async with await connected(address) as peer:
        await peer.ask(b"x")
        answer = await api.call("POST", "/proxies/p", {"enabled": False})
        assert (answer.status, answer.json["enabled"]) == (200, False)
        assert await peer.rest() == b""
    with pytest.raises(ConnectionRefusedError):
        await connected(address)
    await api.toxic("latency")
    assert (await api.call("PATCH", "/proxies/p", {"enabled": True})).json["toxics"] != []
    async with await connected(address) as peer:
        assert await peer.ask(b"x") == b"x"


async def test_a_deleted_proxy_is_gone(api: Client, upstream: Upstream) -> None:
    address = await api.proxy(upstream.address)
    async with await connected(address) as peer:
        await peer.ask(b"x")
        answer = await api.call("DELETE", "/proxies/p")
        assert (answer.status, answer.text) == (204, "")
        assert await peer.rest() == b""
    assert (await api.call("DELETE", "/proxies/p")).error == NOT_FOUND
    with pytest.raises(ConnectionRefusedError):
        await connected(address)


@pytest.mark.parametrize("method", ["GET", "PATCH", "POST", "DELETE"])
async def test_a_proxy_that_is_not_there_is_404_before_its_body_is_read(api: Client, method: str) -> None:
    assert (await api.call(method, "/proxies/none", b"{")).error == NOT_FOUND


async def test_an_upstream_that_refuses_is_an_end_after_the_connect(api: Client) -> None:
    address = await api.proxy(refused())
    async with await connected(address) as peer:
        assert await peer.rest() == b""


async def test_a_reset_of_the_upstream_is_an_end(api: Client, upstream: Upstream) -> None:
    upstream.handler = reset_at_once
    async with await connected(await api.proxy(upstream.address)) as peer:
        peer.writer.write(b"x")
        assert await peer.rest() == b""


async def test_a_name_with_spaces_and_umlauts_can_be_addressed(api: Client) -> None:
    await api.proxy("u:1", name="prüf mich")
    answer = await api.call("GET", "/proxies/pr%C3%BCf%20mich")
    assert (answer.status, answer.json["name"]) == (200, "prüf mich")
    assert (await api.call("DELETE", "/proxies/pr%C3%BCf%20mich")).status == 204
