"""What is still missing before users can be served, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.record.clock import Clock
from harness.stack.http_get import get_json
from harness.stack.reference.settings import Ports
from harness.stack.supervision.rpc import ProgramState, SupervisorSilent
from harness.stack.supervision.supervisord import Supervisord

__all__ = ["missing", "not_served", "port_taken"]

ANSWER_WITHIN_S = 0.8
PORT_TAKEN = ("address already in use", "errno 98")
DOWN = {
    "FATAL": "given up by its supervisor",
    "STOPPED": "stopped by order",
    "BACKOFF": "crashed at its start",
    "EXITED": "ended, and was not restarted (yet)",
}


def missing(supervisord: Supervisord, ports: Ports, clock: Clock) -> str | None:
    """None: gateway and proxy answer and every replica is admitted."""
    try:
        states = supervisord.rpc.states()
    except SupervisorSilent:
        return "supervisor: starting"
    return _broken(states, supervisord) or not_served(ports, clock)


def not_served(ports: Ports, clock: Clock) -> str | None:
    """The same, as far as the servers themselves can say."""
    gateway = get_json(f"{ports.url('gateway')}/gateway/state", clock=clock, total_s=ANSWER_WITHIN_S)
    if gateway is None or gateway.status != 200:
        return "gateway: not answering"
    for name in ports.replicas:
        own = get_json(f"{ports.url(name)}/ready", clock=clock, total_s=ANSWER_WITHIN_S)
        if own is None or own.status != 200:  # the gateway may not have noticed yet
            return f"{name}: {'not answering' if own is None else own.body.get('reason') or 'not ready'}"
        if not _replica(gateway.body, name).get("admitted"):
            return f"{name}: ready, waits for the gateway to admit it"
    proxy = get_json(f"{ports.through('gateway')}/gateway/state", clock=clock, total_s=ANSWER_WITHIN_S)
    return None if proxy is not None and proxy.status == 200 else "proxy: not forwarding"


def port_taken(supervisord: Supervisord, ports: Ports) -> str | None:
    """Which program could not listen because somebody else does, in words; None: no sign of it."""
    for name in (*ports.servers, "proxy"):
        words = supervisord.last_words(name)
        if any(sign in words.lower() for sign in PORT_TAKEN):
            port = f"port {ports.servers[name]}" if name in ports.servers else "a port"
            return f"{port} of {name} was taken by another process ({words})"
    return None


def _broken(states: Mapping[str, ProgramState], supervisord: Supervisord) -> str | None:
    for name, state in states.items():
        if state.state in DOWN:
            return f"{name}: {DOWN[state.state]}: {supervisord.last_words(name) or 'it wrote nothing'}"
    return None


def _replica(state: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    replicas = state.get("replicas")
    replica = replicas.get(name) if isinstance(replicas, dict) else None
    return replica if isinstance(replica, dict) else {}
