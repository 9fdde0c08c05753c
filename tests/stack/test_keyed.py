"""A key goes to the gateway with every request of the harness's own users, and neither into a file nor to a replica."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.model.plan import Prompt
from harness.model.target import TargetOptions
from harness.record.clock import FakeClock
from harness.stack.base import RunContext
from harness.stack.keyed import USER_KEY, Keyed
from harness.stack.links import Ask
from harness.stack.local.stack import LocalStack
from harness.stack.reference import links
from harness.stack.reference.links import LocalLinks
from harness.stack.reference.service import make_private
from harness.stack.reference.settings import LINKS, REPLICAS, Ports
from harness.stack.strangers import request_of
from harness.stack.traffic import LocalTraffic, Strangers

PORTS = Ports({name: 1 + n for n, name in enumerate(REPLICAS)}, 3, {name: 11 + n for n, name in enumerate(LINKS)}, 20)
PROMPT = Prompt(({"role": "user", "content": "hi"},), 4, "hello")
WHO = Strangers("fault-1", "burst", {"rate_per_s": 1}, PROMPT.messages, 4)
ORDER = {"kind": "burst", "url": "http://h:1", "messages": PROMPT.messages, "max_tokens": 4, "request_id": "r"}


@pytest.mark.parametrize("past", [False, True])
def test_only_looks_at_the_gateway_show_the_key(monkeypatch: pytest.MonkeyPatch, past: bool) -> None:
    sent: dict[int, bytes] = {}
    monkeypatch.setattr(links, "look_at", lambda port, ask, request, clock: sent.update({port: request}))
    monkeypatch.setattr(links, "BackgroundLook", lambda look: look())
    ports = PORTS.servers if past else PORTS.links
    keyed = LocalLinks(PORTS, "run", [PROMPT], FakeClock(), "sesame")
    for link in LINKS:
        keyed.look(link, Ask(stream=True), past=past)
        shown = b"\r\nAuthorization: Bearer sesame\r\n" in sent[ports[link]]
        assert shown == (link == "gateway"), link
    LocalLinks(PORTS, "run", [PROMPT], FakeClock()).look("gateway", Ask(), past=past)
    assert b"Authorization" not in sent[ports["gateway"]]


def test_strangers_show_a_key_that_they_are_not_told_on_their_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"\r\nAuthorization: Bearer sesame\r\n" in request_of({**ORDER, "arguments": {}, "key": "sesame"})
    assert b"Authorization" not in request_of({**ORDER, "arguments": {}, "key": None})
    started: list[tuple[Sequence[str], dict[str, str]]] = []
    monkeypatch.setattr("harness.stack.traffic.subprocess.Popen", lambda argv, *, env, **_: started.append((argv, env)))
    for key in ("sesame", None):
        traffic = LocalTraffic("run", "http://h:1", FakeClock(), key)
        traffic.begin(WHO)
        traffic.end(WHO)
    (argv, with_key), (_, without) = started
    assert with_key[USER_KEY] == "sesame" and USER_KEY not in without
    assert "sesame" not in json.dumps(list(argv))


@pytest.mark.parametrize(
    ("target", "keyed"), [(TargetOptions(), False), (TargetOptions(gateway={"api_keys": "on"}), True)]
)
def test_a_stack_tells_the_key_of_its_run_only_if_users_need_one(
    target: TargetOptions, keyed: bool, tmp_path: Path
) -> None:
    stack = LocalStack(tmp_path)
    assert isinstance(stack, Keyed)
    stack._run = RunContext("run", tmp_path, 0.0, target=target)
    (tmp_path / "stack").mkdir()
    make_private(tmp_path / "stack", REPLICAS, target)
    key = stack.user_key()
    assert (key is not None) == keyed
    assert key is None or key == (tmp_path / "stack" / "private-gateway" / "api-keys").read_text()
