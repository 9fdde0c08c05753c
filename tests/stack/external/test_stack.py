"""The external stack against a small server in this process: probes, recording, looks, and what it may do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.model.capability import Capability
from harness.model.errors import StackError
from harness.model.external import External
from harness.model.plan import Prompt
from harness.record.clock import SystemClock
from harness.stack.base import RunContext
from harness.stack.external.endpoint import Endpoint, endpoint_of
from harness.stack.external.golden_recording import record
from harness.stack.external.links import Question, api_of, hop_of
from harness.stack.external.offer import ask_what_it_offers
from harness.stack.external.probe_watch import ProbeWatch, golden_probe, page_probe
from harness.stack.external.stack import ExternalStack
from harness.stack.links import Ask, Seen
from harness.stack.look import look_at
from tests.openai_server import Switches, serving

PROMPT = Prompt(({"role": "user", "content": "Hello"},), 8, "An answer.")
CLOCK = SystemClock()


@pytest.fixture
def switches() -> Switches:
    return Switches()


@pytest.fixture
def endpoint(switches: Switches) -> Iterator[Endpoint]:
    with serving(switches) as url:
        yield endpoint_of(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user:pw@host:1", "no user, password"),
        ("http://host:1?api_key=x", "no user, password"),
        ("host:8000", "is not the address of a server"),
        ("ftp://host", "is not the address of a server"),
        ("http://host:99999", "write http://host:port"),
    ],
)
def test_what_is_no_address_or_carries_a_secret_is_refused_in_a_sentence(url: str, words: str) -> None:
    with pytest.raises(StackError, match=words):
        endpoint_of(url)


def test_an_address_is_taken_with_and_without_v1() -> None:
    assert endpoint_of("http://host:8000/v1").url == endpoint_of("http://host:8000/").url == "http://host:8000"
    assert endpoint_of("https://host/base/v1/").url == "https://host/base"


def test_a_key_that_is_not_there_is_said_before_anything_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    stack = ExternalStack(External(url="http://127.0.0.1:1", api_key_env="NO_SUCH_KEY"))
    with pytest.raises(StackError, match="NO_SUCH_KEY is not set"):
        stack.check()


def test_a_stack_without_an_address_is_refused_with_the_remedy() -> None:
    with pytest.raises(StackError, match="--url http://host:port"):
        ExternalStack(None)


def test_the_url_of_the_command_line_outranks_that_of_the_scenario() -> None:
    stack = ExternalStack(External(url="http://one:1"), "http://two:2")
    assert stack.describe() == {"target": "http://two:2"}


@pytest.mark.parametrize(
    ("external", "capabilities"),
    [
        (External(url="http://h:1"), {Capability.EXEC, Capability.NETWORK, Capability.INFERENCE_TOXICS}),
        (External(url="https://h"), {Capability.EXEC, Capability.NETWORK}),
        (External(url="http://h:1", proxy=False), {Capability.EXEC}),
        (External(url="http://h:1", toxiproxy="http://h:8474"), {Capability.EXEC, Capability.NETWORK}),
    ],
)
def test_what_can_be_broken_follows_from_the_handles(external: External, capabilities: set[Capability]) -> None:
    assert ExternalStack(external).capabilities == capabilities


def test_answers_are_recorded_and_what_the_server_does_not_repeat_is_not_checked(
    switches: Switches, endpoint: Endpoint
) -> None:
    switches.wrong_every = 4  # the second answer to every second prompt is another one
    found = record((endpoint, None, CLOCK), {"chat": (PROMPT,) * 4}, lambda _: None, lambda: True)
    assert [prompt.answer for prompt in found.prompts["chat"]] == ["An answer.", None, "An answer.", None]
    assert (found.asked, found.reproducible, found.ends_with_done) == (4, 2, True)


def test_a_server_that_ends_its_streams_without_done_is_found_out(switches: Switches, endpoint: Endpoint) -> None:
    switches.done = False
    assert not record((endpoint, None, CLOCK), {"chat": (PROMPT,)}, lambda _: None, lambda: True).ends_with_done


@pytest.mark.parametrize(("status", "words"), [(401, "it wants a key"), (404, "no such path or model"), (422, "take")])
def test_a_server_that_will_not_answer_is_said_with_the_remedy(
    switches: Switches, endpoint: Endpoint, status: int, words: str
) -> None:
    switches.chat = status
    with pytest.raises(StackError, match=words):
        record((endpoint, None, CLOCK), {"chat": (PROMPT,)}, lambda _: None, lambda: True)


def test_one_that_is_still_loading_is_asked_again(switches: Switches, endpoint: Endpoint) -> None:
    switches.chat = 503
    said = []

    def say(text: str) -> None:
        said.append(text)
        switches.chat = 200 if len(said) > 1 else 503

    assert record((endpoint, None, CLOCK), {"chat": (PROMPT,)}, say, lambda: True).reproducible == 1
    assert "a real answer: status 503" in said


def test_three_probes_are_three_and_a_wrong_answer_reddens_only_the_golden_one(
    switches: Switches, endpoint: Endpoint
) -> None:
    at = (endpoint, CLOCK)
    health, ready = page_probe("health", "/health", 1.0, at), page_probe("ready", "/v1/models", 1.0, at)
    golden = golden_probe((PROMPT,), None, 1.0, at)
    assert (health.ask(), ready.ask(), golden.ask()) == (None, None, None)
    switches.text = "Nonsense."
    assert (health.ask(), ready.ask()) == (None, None)
    assert golden.ask() == "another answer than the one that was recorded"
    switches.health, switches.text = 400, "An answer."  # Triton says "not ready" with 400
    assert (health.ask(), ready.ask(), golden.ask()) == ("status 400", None, None)


def test_a_watch_tells_changes_only(switches: Switches, endpoint: Endpoint) -> None:
    watch = ProbeWatch((page_probe("health", "/health", 0.5, (endpoint, CLOCK)),), CLOCK, CLOCK.now())
    seen = []

    def wait_for(kind: str) -> None:
        end_s = CLOCK.now() + 5
        while not any(event.kind == kind for event in seen) and CLOCK.now() < end_s:
            CLOCK.sleep(0.02)
            seen.extend(watch.take())

    watch.start()
    wait_for("probe.green")
    switches.health = 503
    wait_for("probe.red")
    watch.stop()
    assert [event.kind for event in seen] == ["probe.green", "probe.red"]
    assert seen[1].fields == {"probe": "health", "reason": "status 503"}
    assert watch.asked["health"] >= 2


def test_a_look_at_a_foreign_server_is_whole_by_that_servers_own_rules(switches: Switches, endpoint: Endpoint) -> None:
    switches.done = False
    port = endpoint.port
    for ends_with_done in (True, False):
        question = Question(endpoint, "/health", PROMPT, "tiny", ends_with_done)
        ask = Ask(stream=True)
        seen = question.judged(ask, look_at(port, ask, question.request(ask), CLOCK))
        assert seen.answered is not ends_with_done
    page = Ask(repeat=2)
    assert look_at(port, page, question.request(page), CLOCK).answered
    assert not question.judged(Ask(stream=True), Seen(True, data=b'data: {"finish_reason": "stop"}')).answered


def test_a_key_is_sent_and_every_refusal_holds_the_status_alone(
    switches: Switches, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    switches.key = "the-right-key"
    monkeypatch.setenv("K", "a-wrong-key")
    keyed = endpoint_of(endpoint.url, api_key_env="K")
    refused = keyed.ask(CLOCK, "GET", "/health", within_s=2)
    assert b"a-wrong-key" in refused.data and refused.words == "status 401"
    monkeypatch.setenv("K", "the-right-key")
    assert keyed.ask(CLOCK, "GET", "/health", within_s=2).good


def test_nobody_there_is_a_reply_in_words() -> None:
    reply = endpoint_of("http://127.0.0.1:1").ask(CLOCK, "GET", "/", within_s=1)
    assert reply.status is None and reply.words == "the connection was refused"


def test_what_it_offers_is_asked_for(switches: Switches, endpoint: Endpoint) -> None:
    switches.done, switches.models = False, ("a", "b")
    offer = ask_what_it_offers(endpoint, None, 8, CLOCK)
    assert (offer.health, offer.ready, offer.model) == ("/health", "/v1/models", "a")
    assert offer.streams and not offer.ends_with_done and offer.repeats


def test_a_server_that_says_yes_to_every_path_has_no_probe(switches: Switches, endpoint: Endpoint) -> None:
    switches.paths = frozenset({"/harness-asks-for-no-such-page", "/health", "/v1/models"})
    offer = ask_what_it_offers(endpoint, None, 8, CLOCK)
    assert (offer.health, offer.ready) == (None, None)


def test_the_addresses_of_a_toxiproxy_are_read() -> None:
    assert api_of("http://127.0.0.1") == ("127.0.0.1", 8474)
    with pytest.raises(StackError, match="write http://host:8474"):
        api_of("127.0.0.1:8474")
    hop = hop_of({"listen": "127.0.0.1:9001", "upstream": "10.0.0.7:80"}, "proxy", None)
    assert (hop.through, hop.past) == (("127.0.0.1", 9001), ("10.0.0.7", 80))
    inside = hop_of({"listen": "[::]:9001", "upstream": "llm:80"}, "127.0.0.1", "127.0.0.1:21000")
    assert (inside.through, inside.past) == (("127.0.0.1", 9001), ("127.0.0.1", 21000))


def test_certificates_that_are_none_are_said(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("none")
    with pytest.raises(StackError, match="holds no certificates"):
        ExternalStack(External(url="https://127.0.0.1:1", ca_file=str(path))).check()


def test_of_a_name_with_several_addresses_the_one_that_accepts_is_taken(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def both(host: str, port: int, *more: Any, **named: Any) -> list[Any]:
        addresses = ("127.0.0.7", "127.0.0.1") if host == "two-homed" else (host,)
        return [found for ip in addresses for found in real(ip, port, *more, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert replace(endpoint, host="two-homed").address() == ("127.0.0.1", endpoint.port)


def test_probes_go_past_a_toxiproxy_on_the_users_way_if_it_is_said_how(
    switches: Switches, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxies = {"llm": {"listen": "[::]:18000", "upstream": "llm:8000"}}
    monkeypatch.setattr(ExternalStack, "_foreign_proxies", lambda _: proxies)
    told = External(
        url="http://127.0.0.1:18000", toxiproxy="http://127.0.0.1:8474", hops={"llm": f"127.0.0.1:{endpoint.port}"}
    )
    stack = ExternalStack(told)
    assert stack.links() == {"llm": "to llm:8000"}
    stack.up(RunContext("run", tmp_path, CLOCK.now()))
    missing = stack.ready()
    stack.down()
    assert missing is None or missing.startswith(("golden answers", "a real answer")), (
        "nobody listens at 18000, but past it"
    )
    assert stack.base_url == "http://127.0.0.1:18000"
