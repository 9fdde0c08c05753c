"""Options of the target that name another server or a secret: a scenario says who, the stack says where. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.model.target import Option, TargetOptions, switched

__all__ = ["Wires", "gateway_options", "options", "replica_options", "routes"]

OF_ROUTES = frozenset({"weight", "backup"})  # options of a replica that its gateway is told


@dataclass(frozen=True)
class Wires:
    """Where the target's servers find one another, and files that only they may read, as they see them."""

    replicas: Mapping[str, str]  # name -> URL of the server itself
    links: Mapping[str, str]  # name -> URL of the proxy before it: the way of all users
    gateway: str  # URL
    register_token: str  # file, as a replica sees it
    gateway_register_token: str  # the same token, as the gateway sees it
    api_keys: str  # file, as the gateway sees it


def routes(target: TargetOptions, wires: Wires) -> list[str]:
    """What tells the gateway of the replicas that do not tell it themselves."""
    found = []
    for name, url in wires.links.items():
        single = target.of_replica(name)
        if not switched(single.get("register")):
            weight = f",weight={single['weight']}" if "weight" in single else ""
            found += ["--replica", f"{name}={url}{weight}{',backup' if switched(single.get('backup')) else ''}"]
    return found


def replica_options(target: TargetOptions, name: str, wires: Wires) -> list[str]:
    """A scenario's options of that replica, with addresses and files for names."""
    single = {key: value for key, value in target.of_replica(name).items() if key not in OF_ROUTES}
    follow, register = single.pop("follow", "off"), single.pop("register", "off")
    if follow not in (False, "off"):
        single["follow"] = wires.replicas.get(str(follow), follow)  # a URL stays as it is
    if switched(register):
        known: dict[str, Option] = {"register_with": wires.gateway, "register_token_file": wires.register_token}
        single = {**known, "advertise_url": wires.links[name], **single}
    return options(target, single)


def gateway_options(target: TargetOptions, wires: Wires) -> list[str]:
    """A scenario's options of the gateway, with files for secrets."""
    single = dict(target.gateway)
    if switched(single.pop("api_keys", "off")):
        single["api_keys_file"] = wires.api_keys
    if any(switched(target.of_replica(name).get("register")) for name in wires.links):
        single.setdefault("register_token_file", wires.gateway_register_token)
    return options(target, single)


def options(target: TargetOptions, single: Mapping[str, Option]) -> list[str]:
    """A scenario's words as command line options: {max_queue: 8, nan_guard: on} is --max-queue 8 --nan-guard on."""
    found = [] if target.protection == "default" else ["--protection", target.protection]
    for name, value in single.items():
        word = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
        found += [f"--{name.replace('_', '-')}", word]
    return found
