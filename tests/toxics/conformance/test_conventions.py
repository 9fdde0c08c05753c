from __future__ import annotations

import pytest

from tests.toxics.client import Client

NOT_FOUND = "404 page not found\n"


@pytest.mark.official
@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/proxies/", "/proxies/p/", "/proxies/p/toxics/", "/metrics", "/version/"]
)
async def test_an_unknown_path_is_plain_text(api: Client, path: str) -> None:
    answer = await api.call("GET", path, **{"User-Agent": "Mozilla/5.0"})
    assert (answer.status, answer.text, answer.type) == (404, NOT_FOUND, "text/plain; charset=utf-8")
    assert "X-Toxiproxy-Request-Id" not in answer.headers


@pytest.mark.official
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/proxies"),
        ("HEAD", "/version"),
        ("OPTIONS", "/proxies"),
        ("GET", "/reset"),
        ("PUT", "/proxies/p/toxics/t"),
    ],
)
async def test_a_wrong_method_has_no_body(api: Client, method: str, path: str) -> None:
    answer = await api.call(method, path)
    assert (answer.status, answer.text) == (405, "")


@pytest.mark.official
async def test_browsers_are_refused(api: Client) -> None:
    answer = await api.call("GET", "/version", **{"User-Agent": "Mozilla/5.0 (X11)"})
    assert (answer.status, answer.text) == (403, "User agent not allowed\n")
    assert answer.type.startswith("text/plain")


@pytest.mark.divergence
async def test_a_name_with_a_slash_can_be_addressed(api: Client) -> None:
    await api.proxy("u:1", name="a/b")
    assert (await api.call("GET", "/proxies/a%2Fb")).json["name"] == "a/b"
    await api.call("POST", "/proxies/a%2Fb/toxics", {"type": "noop", "name": "c/d"})
    assert (await api.call("GET", "/proxies/a%2Fb/toxics/c%2Fd")).json["name"] == "c/d"
    assert (await api.call("DELETE", "/proxies/a%2Fb")).status == 204


@pytest.mark.extension
async def test_the_server_says_which_one_it_is_and_what_it_can_do(api: Client) -> None:
    answer = (await api.call("GET", "/harness")).json
    assert answer["toxics"] == ["blackhole", "corrupt", "http_status", "sse_stall", "sse_truncate"]
