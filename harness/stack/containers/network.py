"""The packets of a run's containers: rules in a container's own network, set from a helper container that shares it.

The helper is started on demand, carries the run's label, and may do nothing but administer that one network. Rules
carry the run's id and go with the container whose network they are in: one that is restarted has a new network.
"""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from harness.model.errors import StackError
from harness.record.journal import Inverse
from harness.stack.containers.admin import ContainerAdmin
from harness.stack.containers.project import LINK_PORTS, project_name
from harness.stack.links import Ask, Look
from harness.stack.partition import GATEWAY, Cut, Reached, Resolved, UnderWay, carrying, rules

__all__ = ["ContainerNetwork", "mend_packets", "reconnect"]

T = TypeVar("T")
NETWORK = "app"  # the one that the target's servers share
PROXY = "toxiproxy"  # where the gateway dials its replicas
LOOK_S = 1.0
COUNTED = re.compile(r"^\s*(\d+)\s+\d+\s")
# Run inside a helper: it needs nothing but Python.
ASK = """
import json, socket, sys
host, port, limit_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
said = {"connected": False, "refused": False, "answered": False}
try:
    with socket.create_connection((host, port), timeout=limit_s) as connection:
        said["connected"] = True
        connection.sendall(b"GET /version HTTP/1.0\\r\\nX-Probe: harness-look\\r\\n\\r\\n")
        said["answered"] = connection.recv(64).startswith(b"HTTP/1.")
except ConnectionRefusedError:
    said["refused"] = True
except OSError:
    pass
print(json.dumps(said))
"""
LOOK_UP = """
import json, socket, sys, threading
said = {"address": None, "error": "no answer within " + sys.argv[2] + " s"}
def ask():
    try:
        said["address"] = socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)[0][4][0]
    except OSError as error:
        said["error"] = str(error)
thread = threading.Thread(target=ask, daemon=True)
thread.start()
thread.join(float(sys.argv[2]))
print(json.dumps(said), flush=True)
"""


class ContainerNetwork:
    """`past`: begins a look at a replica through its published port, which is in a network of its own."""

    def __init__(self, run_id: str, containers: ContainerAdmin, past: Callable[[str, Ask], Look]) -> None:
        self._run_id = run_id
        self._containers = containers
        self._past = past

    def prepare(self, cut: Cut) -> Inverse:
        self._containers.helper(cut.at)
        if cut.how == "disconnect":
            return Inverse("container.reconnect", {"run_id": self._run_id, "services": list(cut.replicas)})
        return Inverse("container.mend_packets", self._mending(cut))

    def cut(self, cut: Cut) -> None:
        if cut.how == "disconnect":
            for replica in cut.replicas:
                self._containers.disconnect(replica, _network(self._run_id))
            return
        # All by one command, since each takes the engine a tenth of a second.
        made = [["-A", *rule] for rule in rules(cut, self._run_id, LINK_PORTS)]
        self._containers.in_network(cut.at, ["sh", "-c", " && ".join(_iptables(one) for one in made)])

    def mend(self, cut: Cut) -> None:
        if cut.how == "disconnect":
            reconnect({"run_id": self._run_id, "services": cut.replicas}, self._containers)
        else:
            mend_packets(self._mending(cut), self._containers)

    def has(self, cut: Cut) -> bool:
        if cut.how == "disconnect":
            return any(_network(self._run_id) not in self._containers.networks(one) for one in cut.replicas)
        state = self._containers.state(cut.at)
        if state is None or not state.pid:
            return False
        listed = self._containers.in_network(cut.at, ["iptables", "-w", "2", "-S"])
        return bool(carrying(listed, self._run_id, cut.mark))

    def reach(self, cut: Cut, replica: str) -> UnderWay[Reached]:
        words = ["python3", "-c", ASK, PROXY, str(LINK_PORTS[replica]), f"{LOOK_S:g}"]

        def ask() -> Reached:
            said = self._said(cut.at, words)
            return Reached(said["connected"], said["refused"], said["answered"], self._dropped(cut))

        return _Background(ask)

    def resolve(self, cut: Cut) -> UnderWay[Resolved]:
        name = PROXY if cut.at == GATEWAY else GATEWAY

        def ask() -> Resolved:
            said = self._said(cut.at, ["python3", "-c", LOOK_UP, name, f"{LOOK_S:g}"])
            return Resolved(name, said["address"], said["error"], self._dropped(cut))

        return _Background(ask)

    def past(self, replica: str) -> Look:
        return self._past(replica, Ask())

    def _mending(self, cut: Cut) -> dict[str, Any]:
        made = rules(cut, self._run_id, LINK_PORTS)
        return {"run_id": self._run_id, "service": cut.at, "mark": cut.mark, "rules": made}

    def _said(self, service: str, words: Sequence[str]) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._containers.in_network(service, words))
        return said

    def _dropped(self, cut: Cut) -> int:
        if cut.how == "disconnect":
            return 0
        said = self._containers.in_network(cut.at, ["iptables", "-w", "2", "-nvxL"])
        mine = [line for line in said.splitlines() if f" {self._run_id} {cut.mark} " in line]
        return sum(int(found[1]) for line in mine if (found := COUNTED.match(line)))


class _Background(Generic[T]):
    """A question that takes as long as its limit, asked in a thread. One that cannot be asked is never answered."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._seen: T | None = None
        self._error: StackError | None = None
        threading.Thread(target=self._work, name="look", daemon=True).start()

    def seen(self) -> T | None:
        if self._error is not None:
            raise self._error
        return self._seen

    def _work(self) -> None:
        try:
            self._seen = self._ask()
        except StackError as error:
            self._error = error
        except ValueError as error:
            self._error = StackError(f"a helper container did not answer as expected: {error}")


def mend_packets(args: Mapping[str, Any], containers: ContainerAdmin | None = None) -> None:
    """Delete a cut's rules. When the container has ended, or is another, its network has gone and they with it."""
    run_id, service, mark = args["run_id"], args["service"], args["mark"]
    engine = containers or ContainerAdmin(run_id)
    state = engine.state(service)
    if state is None or not state.pid:
        return
    gone = [f"{_iptables(['-D', *rule])} 2>/dev/null" for rule in args["rules"]]
    if carrying(engine.in_network(service, ["sh", "-c", "; ".join([*gone, _iptables(["-S"])])]), run_id, mark):
        raise StackError(f"{service}: rules of {mark} are still in its network")


def reconnect(args: Mapping[str, Any], containers: ContainerAdmin | None = None) -> None:
    """Put replicas back on the network, under their names."""
    engine = containers or ContainerAdmin(args["run_id"])
    for service in args["services"]:
        if engine.state(service) is not None:
            engine.connect(service, _network(args["run_id"]))


def _network(run_id: str) -> str:
    return f"{project_name(run_id)}_{NETWORK}"


def _iptables(arguments: Sequence[str]) -> str:
    return shlex.join(["iptables", "-w", "2", *arguments])
