"""Variables of the environment that switch the target: which there are, and what of them may be written down. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

from harness.model.plan import HIDDEN

__all__ = ["PREFIXES", "Switched", "switches_in"]

PREFIXES = ("TARGET_GATEWAY_", "TARGET_REPLICA_")
SECRET = re.compile(r"(TOKEN|SECRET|PASSWORD|CREDENTIALS?)$")  # one that ends in _FILE is a place, and no secret
USER_IN_URL = re.compile(r"(://)[^/@\s]*@")


@runtime_checkable
class Switched(Protocol):
    """A stack whose target the environment switches as well."""

    def switches(self) -> Mapping[str, str]:
        """Variable -> value, as it may be written down."""


def switches_in(environ: Mapping[str, str], more: Iterable[str] = ()) -> dict[str, str]:
    """Those of an environment that reach the target, and `more` by name; secrets are named, their values hidden."""
    others = frozenset(more)
    names = sorted(name for name in environ if name.startswith(PREFIXES) or name in others)
    return {name: HIDDEN if SECRET.search(name) else USER_IN_URL.sub(r"\1…@", environ[name]) for name in names}
