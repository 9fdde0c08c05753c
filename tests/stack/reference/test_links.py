"""The local stack's links: broken and mended through the proxy of the run, ours or another."""

from __future__ import annotations

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.faults.inverse import carry_out
from harness.model.capability import Capability
from harness.model.errors import StackError
from harness.stack.links import DOWN, Ask, Seen, Toxic
from harness.stack.local.stack import LocalStack
from harness.stack.reference.settings import LINKS, LocalSettings

pytestmark = pytest.mark.process

LATE = Toxic("late", "latency", attributes={"latency": 300, "jitter": 0})
CUT = Toxic("cut", DOWN)
OFFICIAL = {"proxy_command": (sys.executable, "-m", "harness.toxics"), "proxy_is_ours": False}  # by its flags alone


def served(running: Any) -> bool:
    try:
        with urllib.request.urlopen(f"{running.stack.base_url}/answer", timeout=3) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@pytest.mark.parametrize("settings", [{}, OFFICIAL], ids=["ours", "official"])
def test_each_link_is_broken_looked_through_and_mended(
    make_stack: Callable[..., Any], eventually: Callable[..., Any], settings: dict[str, object]
) -> None:
    running = make_stack(**settings).up_and_ready()
    links = running.stack.network

    def look(link: str, *, past: bool) -> Seen:
        one = links.look(link, Ask(limit_s=2.0), past=past)
        seen = eventually(one.seen)
        assert isinstance(seen, Seen)
        return seen

    for link in LINKS:
        links.add(link, LATE)
        assert links.has(link, LATE)
        through, past = look(link, past=False), look(link, past=True)
        assert through.first_byte_s is not None and past.first_byte_s is not None
        assert through.first_byte_s >= 0.3 > past.first_byte_s
        links.remove(link, LATE)
        links.add(link, CUT)
        assert not look(link, past=False).connected
        assert look(link, past=True).connected
        links.remove(link, CUT)
    eventually(lambda: running.stack.ready() is None and served(running))


def test_what_the_official_server_lacks_is_no_capability_of_a_stack_with_it(stub_model: Path) -> None:
    stack = LocalStack(stub_model, LocalSettings(**OFFICIAL))  # type: ignore[arg-type]
    assert LocalStack(stub_model).capabilities - stack.capabilities == {Capability.INFERENCE_TOXICS}


def test_a_toxiproxy_that_is_not_there_is_a_sentence(stub_model: Path) -> None:
    settings = LocalSettings(proxy_command=("no-such-toxiproxy",), proxy_is_ours=False, required_modules=())
    with pytest.raises(StackError, match="no-such-toxiproxy: no such program; set HARNESS_TOXIPROXY"):
        LocalStack(stub_model, settings).check()


@pytest.mark.parametrize("settings", [{}, OFFICIAL], ids=["ours", "official"])
def test_another_process_mends_every_link_from_what_the_journal_says(
    make_stack: Callable[..., Any], settings: dict[str, object]
) -> None:
    running = make_stack(**settings).up_and_ready()
    links = running.stack.network
    for toxic in (LATE, CUT):
        inverse = links.inverse("gateway", toxic)
        links.add("gateway", toxic)
        for _ in range(2):
            carry_out(inverse)
            assert not links.has("gateway", toxic)
    running.stack.down()
    carry_out(inverse)


def test_a_proxy_that_was_restarted_no_longer_has_the_toxic(
    make_stack: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    running = make_stack().up_and_ready()
    links = running.stack.network
    links.add("primary", LATE)
    os.kill(running.stack.process("proxy").pid, signal.SIGKILL)

    def answers_again() -> bool:
        try:
            return not links.has("primary", LATE)
        except StackError:
            return False

    eventually(answers_again)
    eventually(lambda: running.stack.ready() is None)
