"""How a replica is set up, as data that others may read: flat, without secrets, with a version. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from target_service.replica.settings import HttpSettings, ReplicaSettings

__all__ = ["LIVE", "Configuration", "configuration_of", "differences", "followed"]

Value = str | float | int | bool | None
# What makes a replica this one and not another: never the same, and nobody's to follow.
OWN = frozenset({"name", "host", "port", "model", "neighbours"})
# What can change while requests are served; all else is fixed at the start, and a difference in it is only told.
LIVE = ("http.qps_limit", "http.sse_heartbeat_s", "http.stream_error_event", "http.cache_key")
CACHE_KEYS = ("full", "prompt-only")


class Configuration:
    """The values in effect; `differs` names those in which a followed replica is set up otherwise, None: none is."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self.differs: list[str] | None = None
        self.change(values)

    def change(self, values: Mapping[str, Value]) -> None:
        """Take other values."""
        self.values = dict(values)
        text = json.dumps(self.values, sort_keys=True)
        self.version = hashlib.sha256(text.encode()).hexdigest()[:12]

    def ready_keys(self) -> dict[str, object]:
        """What /ready says of it."""
        differs = {} if self.differs is None else {"config_differs": self.differs}
        return {"config_version": self.version, **differs}

    def body(self) -> dict[str, object]:
        """The JSON of /config."""
        return {**self.ready_keys(), "live": list(LIVE), "config": self.values}


def configuration_of(settings: ReplicaSettings) -> Configuration:
    """Of a replica as it was started."""
    return Configuration(dict(_flat(settings, "")))


def differences(ours: Mapping[str, Value], theirs: Mapping[str, object]) -> list[str]:
    """Names of the values that are not the same, or that one of the two does not have."""
    return sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))


def followed(http: HttpSettings, theirs: Mapping[str, object]) -> HttpSettings:
    """`http` with what may change live taken over; what has the wrong type or makes no sense is left alone."""
    changes: dict[str, Any] = {}
    for name in LIVE:
        key = name.removeprefix("http.")
        value = theirs.get(name)
        if type(value) is not type(getattr(http, key)):
            continue
        # NaN fails this too.
        number_wrong = isinstance(value, float) and not 0 <= value < float("inf")
        if number_wrong or (key == "cache_key" and value not in CACHE_KEYS):
            continue
        changes[key] = value
    return replace(http, **changes)


def _flat(settings: Any, prefix: str) -> Iterator[tuple[str, Value]]:
    for field in fields(settings):
        value = getattr(settings, field.name)
        if _is_secret(field) or (not prefix and field.name in OWN):
            continue
        if is_dataclass(value):
            yield from _flat(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value if isinstance(value, str | int | float | None) else _text(value)


def _is_secret(field: Field[Any]) -> bool:
    # A secret has no place in a repr either; the name is asked too, for one whose author forgot.
    return not field.repr or any(word in field.name for word in ("token_file", "_token", "secret", "password"))


def _text(value: object) -> str:
    return value.as_posix() if isinstance(value, Path) else str(value)
