"""The adapter, against a real server of ours: nothing counts as done that the server does not say."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests
import toxiproxy.proxy
import toxiproxy.server

from harness.faults.inverse import carry_out
from harness.model.errors import StackError
from harness.record.journal import Inverse
from harness.stack.links import DOWN, Toxic
from harness.stack.toxiproxy_api import ToxiproxyApi, ToxiproxyGone

pytestmark = pytest.mark.process

SLOW = Toxic("slow", "latency", "upstream", {"latency": 50, "jitter": 5}, 0.5)


@pytest.fixture
def port() -> Iterator[int]:
    """Of the API of a server that belongs to the run `mine`, with the proxy `a`."""
    command = [sys.executable, "-m", "harness.toxics", "-port", "0", "-instance", "mine"]
    command += ["--proxy", "a", "127.0.0.1:0", "127.0.0.1:1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            lines = [json.loads(server.stdout.readline()) for _ in range(2)]
            yield lines[-1]["port"]
        finally:
            server.kill()


@pytest.fixture
def api(port: int) -> ToxiproxyApi:
    return ToxiproxyApi("127.0.0.1", port, "mine")


def mend(port: int, toxic: Toxic, instance: str = "mine") -> None:
    where = {"host": "127.0.0.1", "port": port, "instance": instance, "listen": {}}
    carry_out(Inverse("link.mend", {**where, "link": "a", "toxic": toxic.name, "type": toxic.type}))


def test_a_toxic_is_added_changed_and_removed_as_the_server_says(api: ToxiproxyApi) -> None:
    api.check()
    api.add("a", SLOW)
    assert api.has("a", SLOW)
    (there,) = api.proxies()["a"]["toxics"]
    assert (there["stream"], there["toxicity"], there["attributes"]) == ("upstream", 0.5, {"latency": 50, "jitter": 5})
    api.update("a", replace(SLOW, toxicity=1.0, attributes={"latency": 70, "jitter": 0}))
    assert api.proxies()["a"]["toxics"][0]["attributes"] == {"latency": 70, "jitter": 0}
    api.remove("a", SLOW)
    api.remove("a", SLOW)
    assert not api.has("a", SLOW)


def test_a_link_goes_down_and_up_and_twice_does_no_harm(api: ToxiproxyApi) -> None:
    down = Toxic("down", DOWN)
    host, port = api.proxies()["a"]["listen"].split(":")
    for _ in range(2):
        api.add("a", down)
        assert api.has("a", down)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
    for _ in range(2):
        api.remove("a", down)
    socket.create_connection((host, int(port))).close()


def test_what_the_library_does_not_know_reaches_the_server(api: ToxiproxyApi) -> None:
    per_request = Toxic("busy", "http_status", "upstream", {"status": 429, "retry_after": 1}, 0.1, per_request=True)
    api.add("a", per_request)
    assert api.proxies()["a"]["toxics"][0]["toxicity_per"] == "request"


def test_names_with_a_slash_are_no_path(api: ToxiproxyApi) -> None:
    api.populate([{"name": "a/b", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", "enabled": True}])
    toxic = replace(SLOW, name="x/y")
    api.add("a/b", toxic)
    api.remove("a/b", toxic)
    assert api.proxies()["a/b"]["toxics"] == []


def test_populate_brings_proxies_to_what_is_wanted_and_keeps_the_toxics_of_the_others(api: ToxiproxyApi) -> None:
    wanted = {"name": "b", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", "enabled": True}
    api.add("a", SLOW)
    api.populate([wanted])
    api.populate([{**wanted, "upstream": "127.0.0.1:2"}])
    assert api.proxies()["b"]["upstream"] == "127.0.0.1:2"
    assert api.has("a", SLOW)


@pytest.mark.parametrize(
    ("link", "toxic", "words"),
    [
        ("a", Toxic("x", "no_such_type"), "invalid toxic type"),
        ("none", SLOW, "there is no proxy none"),
        ("a", Toxic("x", "latency", attributes={"latency": "fast"}), "status 400"),
    ],
)
def test_what_the_server_refuses_is_a_sentence(api: ToxiproxyApi, link: str, toxic: Toxic, words: str) -> None:
    with pytest.raises(StackError, match=words):
        api.add(link, toxic)


def test_a_server_that_does_less_than_it_was_asked_is_found_out(
    api: ToxiproxyApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests.Session, "request", _forgetting("toxicity"))
    with pytest.raises(StackError, match="has toxicity 1"):
        api.add("a", SLOW)


def _forgetting(key: str) -> object:
    real = requests.Session.request

    def request(self: requests.Session, method: str, url: str, **more: object) -> requests.Response:
        if isinstance(body := more.get("json"), dict):
            body.pop(key, None)
        return real(self, method, url, **more)  # type: ignore[arg-type]

    return request


def test_the_server_of_another_run_is_not_touched(api: ToxiproxyApi, port: int) -> None:
    stranger = ToxiproxyApi("127.0.0.1", port, "theirs")
    with pytest.raises(ToxiproxyGone, match="not the one of this run"):
        stranger.check()
    api.add("a", SLOW)
    mend(port, SLOW, instance="theirs")
    assert api.has("a", SLOW)


def test_the_official_server_is_known_by_where_its_proxies_listen(api: ToxiproxyApi, port: int) -> None:
    listen = api.proxies()["a"]["listen"]
    ToxiproxyApi("127.0.0.1", port, None, {"a": listen}).check()
    for elsewhere in ({"a": "127.0.0.1:1"}, {"b": listen}):
        with pytest.raises(ToxiproxyGone, match="not the one of this run"):
            ToxiproxyApi("127.0.0.1", port, None, elsewhere).check()


def test_another_process_mends_a_link_from_the_journal_twice_if_need_be(api: ToxiproxyApi, port: int) -> None:
    for toxic in (SLOW, Toxic("down", DOWN)):
        api.add("a", toxic)
        for _ in range(2):
            mend(port, toxic)
            assert not api.has("a", toxic)


def test_a_proxy_that_has_ended_has_taken_its_toxics_with_it() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        mend(port, SLOW)
        with pytest.raises(ToxiproxyGone, match="no Toxiproxy answers"):
            ToxiproxyApi("127.0.0.1", port, "mine").proxies()


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.stack.toxiproxy_api.ANSWER_S", 0.2)
    late = "no answer to GET /proxies within"
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(StackError, match=late):
        ToxiproxyApi("127.0.0.1", silent.getsockname()[1], "mine").proxies()


def test_the_library_points_where_it_pointed_before(api: ToxiproxyApi) -> None:
    before = toxiproxy.server.APIConsumer
    api.add("a", SLOW)
    assert toxiproxy.server.APIConsumer is before is toxiproxy.proxy.APIConsumer


def test_a_proxy_of_the_environment_is_not_used(api: ToxiproxyApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert list(api.proxies()) == ["a"]
