"""How a scenario's target is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, TypeAlias

from harness.model.fault import STRICT
from harness.model.supervision import Supervision, Supervisor

__all__ = ["SWITCH", "Option", "TargetOptions", "switched"]

Option: TypeAlias = bool | int | float | str
SWITCH: tuple[Option, ...] = (True, False, "on", "off")


def switched(value: Option | None) -> bool:
    """Whether a switch is on, in a file (`on` is a word there) or in Python."""
    return value is True or value == "on"


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """How the target is set up. The names of single options are its own; it refuses those that it does not know."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    protection: Literal["default", "fragile", "hardened"] = "default"
    """fragile: every protection off; hardened: every one on; default: as it comes."""
    balancer: Literal["gateway", "haproxy"] = "gateway"
    """What spreads users over the replicas: our gateway, or a real HAProxy, which has none of the gateway's options."""
    gateway: Mapping[str, Option] = field(default_factory=dict)
    """Single options of the gateway, as in {missed_beats: 5}; they outrank `protection`. The stack's own: api_keys."""
    replica: Mapping[str, Option] = field(default_factory=dict)
    """Single options of every replica, as in {max_queue: 8, health_mode: deep}; they outrank `protection`. The stack's
    own: weight, backup, follow, register."""
    each: Mapping[str, Mapping[str, Option]] = field(default_factory=dict)
    """Single options of one replica, as in {standby: {follow: primary}}; they outrank `replica`."""
    model_copies: Literal["own", "shared"] = "own"
    """own: each replica serves its own copy of the model; shared: both the same one, as from one volume."""
    supervisor: Supervisor | None = None
    """Who restarts replicas that died. Default: budget, and with `protection: fragile` unexpected."""
    supervision: Supervision = field(default_factory=Supervision)
    """Single options of the supervisor, as in {max_restarts: 3}."""

    @property
    def supervised_by(self) -> Supervisor:
        """The supervisor, named or by default."""
        return self.supervisor or ("unexpected" if self.protection == "fragile" else "budget")

    @property
    def in_effect(self) -> TargetOptions:
        """Equal for targets that are set up in the same way, whether their files name a default or leave it out."""
        return replace(self, supervisor=self.supervised_by)

    def of_replica(self, name: str) -> dict[str, Option]:
        """The options of that replica."""
        return {**self.replica, **self.each.get(name, {})}

    @property
    def secret_options(self) -> tuple[str, ...]:
        """What makes the target share a secret with somebody, as in `gateway.api_keys`."""
        asked = [("gateway.api_keys", self.gateway.get("api_keys")), ("replica.register", self.replica.get("register"))]
        asked += [(f"each.{name}.register", one.get("register")) for name, one in self.each.items()]
        return tuple(path for path, value in asked if switched(value))
