"""Packets of containers: what is run where, how it is undone by somebody else, and what a new network means."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from harness.faults.inverse import INVERSES, carry_out
from harness.model.errors import StackError
from harness.stack.containers import network as container_network
from harness.stack.containers.labelled import ContainerState
from harness.stack.containers.network import ContainerNetwork, mend_packets, reconnect
from harness.stack.containers.nodes import ContainerNodes
from harness.stack.partition import Cut

RULE = '-A OUTPUT -p tcp -m tcp --dport 9001 -m comment --comment "reliability-harness r1 m1" -j DROP'
CUT = Cut("m1", "drop", "gateway", ("primary",))


class Engine:
    """Containers as the engine knows them, and what was run in their networks."""

    def __init__(self) -> None:
        self.up = {"gateway": 11, "primary": 12, "standby": 13}
        self.rules: list[str] = []
        self.ran: list[tuple[str, str]] = []
        self.did: list[tuple[str, ...]] = []
        self.on_network = {"gateway", "primary", "standby"}
        self.stubborn = False

    def state(self, service: str) -> ContainerState | None:
        return self.states().get(service)

    def states(self) -> dict[str, ContainerState]:
        return {
            name: ContainerState(name, name, "running" if pid else "exited", pid, 0 if pid else 137, False, 0, "")
            for name, pid in self.up.items()
        }

    def helper(self, service: str) -> None:
        self.did.append(("helper", service))

    def in_network(self, service: str, words: Sequence[str]) -> str:
        said = " ".join(words)
        self.ran.append((service, said))
        if "python3" in said:
            return json.dumps({"connected": False, "refused": False, "answered": False, "address": None, "error": "x"})
        if " -A " in said:
            self.rules.append(RULE)
        if " -D " in said and not self.stubborn:
            self.rules.clear()
        if "-nvxL" in said:
            return "Chain\n      7   420 DROP  6  --  *  *  0.0.0.0/0 0.0.0.0/0 /* reliability-harness r1 m1 */\n" * 2
        return "\n".join(self.rules)

    def networks(self, service: str) -> set[str]:
        return {"harness-r1_app"} if service in self.on_network else set()

    def disconnect(self, service: str, network: str) -> None:
        self.did.append(("disconnect", service, network))
        self.on_network.discard(service)

    def connect(self, service: str, network: str) -> None:
        self.did.append(("connect", service, network))
        self.on_network.add(service)

    def kill(self, service: str) -> None:
        self.did.append(("kill", service))
        self.up[service] = 0

    def start(self, service: str) -> None:
        self.did.append(("start", service))
        self.up[service] = 21


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    # As another process finds it, which knows nothing but the journal.
    monkeypatch.setattr(container_network, "ContainerAdmin", lambda run_id: made)
    monkeypatch.setattr("harness.stack.containers.nodes.ContainerAdmin", lambda run_id: made)
    return made


def network(engine: Engine) -> ContainerNetwork:
    return ContainerNetwork("r1", engine, lambda replica, ask: None)  # type: ignore[arg-type,return-value]


def test_all_rules_of_a_cut_take_effect_by_one_command_in_the_network_of_its_server(engine: Engine) -> None:
    network(engine).cut(CUT)
    ((service, said),) = engine.ran
    assert service == "gateway"
    assert said.count("iptables -w 2 -A") == 2
    assert network(engine).has(CUT)


def test_a_cut_is_mended_by_a_process_that_has_only_the_journal_and_twice_does_no_harm(engine: Engine) -> None:
    inverse = network(engine).prepare(CUT)
    network(engine).cut(CUT)
    for _ in range(2):
        carry_out(inverse)
        assert not network(engine).has(CUT)
    assert json.loads(json.dumps(dict(inverse.args))) == inverse.args


def test_rules_that_stay_are_an_error_and_not_a_heal(engine: Engine) -> None:
    inverse = network(engine).prepare(CUT)
    network(engine).cut(CUT)
    engine.stubborn = True
    with pytest.raises(StackError, match="rules of m1 are still in its network"):
        carry_out(inverse)


@pytest.mark.parametrize("pid", [None, 0])
def test_a_server_that_has_ended_took_its_network_along_so_nothing_is_left_to_mend(
    engine: Engine, pid: int | None
) -> None:
    inverse = network(engine).prepare(CUT)
    if pid is None:
        engine.up.clear()
    else:
        engine.up["gateway"] = 0
    mend_packets(inverse.args)
    assert not engine.ran
    assert not network(engine).has(CUT)


def test_a_disconnected_replica_is_put_back_by_whoever_finds_the_journal(engine: Engine) -> None:
    cut = Cut("m1", "disconnect", "gateway", ("primary",))
    inverse = network(engine).prepare(cut)
    network(engine).cut(cut)
    assert network(engine).has(cut)
    carry_out(inverse)
    assert ("connect", "primary", "harness-r1_app") in engine.did
    assert not network(engine).has(cut)
    engine.up.clear()
    reconnect(inverse.args)  # the run's containers have gone meanwhile


def seen(under_way: Any) -> Any:
    deadline_s = time.monotonic() + 5
    while (found := under_way.seen()) is None and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return found


def test_a_look_says_what_became_of_it_and_how_many_packets_met_the_cuts_own_rules(engine: Engine) -> None:
    reached = seen(network(engine).reach(CUT, "primary"))
    assert (reached.connected, reached.dropped) == (False, 14)
    assert seen(network(engine).reach(Cut("m2", "drop", "gateway", ("primary",)), "primary")).dropped == 0
    assert seen(network(engine).resolve(Cut("m1", "dns_refuse"))).address is None


def test_a_look_that_cannot_be_begun_raises_where_it_is_asked_for(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "in_network", lambda service, words: "not JSON")
    with pytest.raises(StackError, match="did not answer as expected"):
        seen(network(engine).reach(CUT, "primary"))


def test_a_nodes_servers_are_silenced_before_they_are_killed_and_started_by_whoever_finds_the_journal(
    engine: Engine,
) -> None:
    nodes = ContainerNodes("r1", engine, network(engine))  # type: ignore[arg-type]
    inverse = nodes.prepare(("primary", "gateway"), "m1")
    assert nodes.gone(("primary", "gateway")) == {}
    nodes.take(("primary", "gateway"), "m1")
    assert {service for service, said in engine.ran if "'!' -o lo" in said} == {"primary", "gateway"}
    assert set(nodes.gone(("primary", "gateway"))) == {"primary", "gateway"}
    carry_out(inverse)
    assert {("start", "primary"), ("start", "gateway")} <= set(engine.did)
    assert nodes.gone(("primary", "gateway")) == {}


def test_a_server_that_was_silenced_and_not_yet_killed_is_heard_again(engine: Engine) -> None:
    nodes = ContainerNodes("r1", engine, network(engine))  # type: ignore[arg-type]
    inverse = nodes.prepare(("primary",), "m1")
    network(engine).cut(Cut("m1", "silence", "primary"))
    carry_out(inverse)
    assert not engine.rules
    assert ("start", "primary") not in engine.did


def test_each_of_these_inverses_is_known_to_the_guard() -> None:
    assert {"container.mend_packets", "container.reconnect", "container.start", "file.mode", "folder.refill"} <= set(
        INVERSES
    )
