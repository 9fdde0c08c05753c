from __future__ import annotations

import pytest

from tests.toxics.client import Client

TOXICS = "/proxies/p/toxics"


@pytest.fixture(autouse=True)
async def proxy(api: Client) -> tuple[str, int]:
    return await api.proxy("u:1")


@pytest.mark.official
@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("latency", {"latency": 0, "jitter": 0}),
        ("bandwidth", {"rate": 0}),
        ("slow_close", {"delay": 0}),
        ("timeout", {"timeout": 0}),
        ("reset_peer", {"timeout": 0}),
        ("limit_data", {"bytes": 0}),
        ("noop", {}),
    ],
)
async def test_a_toxic_has_its_defaults(api: Client, kind: str, attributes: dict[str, int]) -> None:
    made = await api.call("POST", TOXICS, {"type": kind})
    assert (made.status, made.type) == (200, "application/json")
    name = f"{kind}_downstream"
    assert made.json == {"attributes": attributes, "name": name, "type": kind, "stream": "downstream", "toxicity": 1}
    assert list(made.json) == ["attributes", "name", "type", "stream", "toxicity"]
    assert (await api.call("GET", f"{TOXICS}/{name}")).text == made.text
    assert (await api.call("GET", TOXICS)).text == f"[{made.text}]"


@pytest.mark.official
async def test_a_slicer_has_three_attributes(api: Client) -> None:
    body = {"type": "slicer", "attributes": {"average_size": 10, "size_variation": 2}}
    made = await api.call("POST", TOXICS, body)
    assert made.json["attributes"] == {"average_size": 10, "size_variation": 2, "delay": 0}


@pytest.mark.official
async def test_toxics_are_listed_by_stream_then_as_they_came(api: Client) -> None:
    assert (await api.call("GET", TOXICS)).text == "[]"
    for name, stream in (("a", "downstream"), ("b", "upstream"), ("c", "downstream"), ("d", "upstream")):
        await api.toxic("noop", stream, name=name)
    assert [one["name"] for one in (await api.call("GET", TOXICS)).json] == ["b", "d", "a", "c"]


@pytest.mark.official
async def test_the_stream_is_shown_as_it_was_written(api: Client) -> None:
    made = await api.toxic("noop", "UpStream")
    assert (made["stream"], made["name"]) == ("UpStream", "noop_UpStream")


@pytest.mark.official
@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", (400, "bad request body: unexpected EOF")),
        (b'{"type": "latency", "stream": ""}', (400, "stream was invalid, can be either upstream or downstream")),
        (b'{"type": "none", "stream": "x"}', (400, "stream was invalid, can be either upstream or downstream")),
        (b'{"type": "none"}', (400, "invalid toxic type")),
        (b'{"type": "Latency"}', (400, "invalid toxic type")),
        (b"{}", (400, "invalid toxic type")),
        (b'{"type": "latency", "toxicity": "1"}', (400, "bad request body: json: cannot unmarshal string")),
        (
            b'{"type": "latency", "attributes": {"latency": 1.5}}',
            (400, "bad request body: json: cannot unmarshal number"),
        ),
        (
            b'{"type": "latency", "attributes": {"latency": "1"}}',
            (400, "bad request body: json: cannot unmarshal string"),
        ),
        (b'{"type": "latency", "attributes": []}', (400, "bad request body: json: cannot unmarshal array")),
    ],
)
async def test_what_is_wrong_with_a_toxic_is_said(api: Client, body: bytes, error: tuple[int, str]) -> None:
    status, message = (await api.call("POST", TOXICS, body)).error
    assert status == error[0]
    assert message.startswith(error[1])
    assert (await api.call("GET", TOXICS)).text == "[]"


@pytest.mark.official
async def test_names_are_unique_across_both_streams(api: Client) -> None:
    await api.toxic("noop", "upstream", name="t")
    answer = await api.call("POST", TOXICS, {"type": "latency", "name": "t", "attributes": {"latency": "x"}})
    assert answer.error == (409, "toxic already exists")


@pytest.mark.official
@pytest.mark.parametrize("toxicity", [7.5, -1, 0, 0.1, 0.3333])
async def test_any_toxicity_is_taken(api: Client, toxicity: float) -> None:
    made = await api.toxic("noop", toxicity=toxicity)
    assert made["toxicity"] == pytest.approx(toxicity, abs=1e-7)


@pytest.mark.official
async def test_negative_and_null_attributes_are_taken_and_unknown_ones_ignored(api: Client) -> None:
    made = await api.toxic("latency", latency=-5, jitter=None, more=[1])
    assert made["attributes"] == {"latency": -5, "jitter": 0}
    assert (await api.call("POST", TOXICS, b'{"type": "noop", "attributes": null}')).status == 200


@pytest.mark.official
@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_an_update_merges_attributes_and_toxicity_only(api: Client, method: str) -> None:
    await api.toxic("latency", latency=1, jitter=2)
    path = f"{TOXICS}/latency_downstream"
    body = {
        "attributes": {"latency": 7},
        "toxicity": 0.5,
        "name": "x",
        "type": "noop",
        "stream": "upstream",
        "jitter": 9,
    }
    answer = await api.call(method, path, body)
    assert answer.status == 200
    assert answer.json == {
        "attributes": {"latency": 7, "jitter": 2},
        "name": "latency_downstream",
        "type": "latency",
        "stream": "downstream",
        "toxicity": 0.5,
    }
    assert (await api.call(method, path, {})).json == answer.json


@pytest.mark.official
async def test_what_is_not_there_is_404_and_the_proxy_comes_first(api: Client) -> None:
    for method in ("GET", "PATCH", "POST", "DELETE"):
        assert (await api.call(method, f"{TOXICS}/none", b"{")).error == (404, "toxic not found")
        assert (await api.call(method, "/proxies/none/toxics/none", b"{")).error == (404, "proxy not found")
    for method in ("GET", "POST"):
        assert (await api.call(method, "/proxies/none/toxics", b"{")).error == (404, "proxy not found")


@pytest.mark.official
async def test_a_removed_toxic_is_gone(api: Client) -> None:
    await api.toxic("noop")
    await api.remove("noop_downstream")
    assert (await api.call("DELETE", f"{TOXICS}/noop_downstream")).error == (404, "toxic not found")


@pytest.mark.divergence
async def test_an_update_that_is_refused_changes_nothing(api: Client) -> None:
    await api.toxic("latency", latency=1)
    path = f"{TOXICS}/latency_downstream"
    assert (await api.call("PATCH", path, {"attributes": {"latency": 77, "jitter": "x"}})).status == 400
    assert (await api.call("GET", path)).json["attributes"]["latency"] == 1


@pytest.mark.divergence
@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("bandwidth", {"rate": -1}),
        ("slicer", {}),
        ("slicer", {"average_size": -1}),
        ("slicer", {"average_size": 5, "size_variation": 5}),
        ("slicer", {"average_size": 5, "size_variation": -1}),
    ],
)
async def test_what_would_crash_the_official_server_is_refused(api: Client, kind: str, attributes: object) -> None:
    status, message = (await api.call("POST", TOXICS, {"type": kind, "attributes": attributes})).error
    assert (status, message.startswith(f"bad request body: {kind}: ")) == (400, True)


@pytest.mark.extension
@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"type": "http_status", "stream": "downstream"}, "works on the upstream stream only"),
        ({"type": "sse_truncate", "stream": "upstream"}, "works on the downstream stream only"),
        ({"type": "sse_truncate", "attributes": {"ending": "x"}}, "ending is one of"),
        ({"type": "sse_truncate", "attributes": {"events": -1}}, "events must not be negative"),
        ({"type": "sse_stall", "attributes": {"events": 0}}, "events must be at least 1"),
        ({"type": "http_status", "attributes": {"status": 200}}, "status must be from 400 to 599"),
        ({"type": "corrupt", "attributes": {"flips_per_million": -1}}, "flips_per_million must be"),
        ({"type": "noop", "toxicity_per": "day"}, "toxicity_per is either"),
    ],
)
async def test_extensions_say_what_they_refuse(api: Client, body: object, part: str) -> None:
    status, message = (await api.call("POST", TOXICS, body)).error
    assert status == 400
    assert part in message


@pytest.mark.extension
async def test_an_extension_has_the_stream_on_which_it_works(api: Client) -> None:
    made = await api.call("POST", TOXICS, {"type": "http_status", "toxicity_per": "request"})
    assert (made.json["stream"], made.json["name"]) == ("upstream", "http_status_upstream")
    assert made.json["toxicity_per"] == "request"
