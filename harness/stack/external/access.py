"""How users reach a target that is not the harness's own: what the load has to know beside its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from harness.model.plan import Prompt

__all__ = ["Access", "Reached"]


@dataclass(frozen=True)
class Access:
    """Known when the target is ready. Holds the name of a secret's variable, never the secret."""

    prompts: Mapping[str, tuple[Prompt, ...]]  # prompt set -> prompts, with the answers that were recorded
    model: str | None = None
    host: str | None = None  # the Host header and TLS name, when connections go by way of a proxy
    api_key_env: str | None = None
    ca_file: str | None = None
    salted: bool = True
    ends_with_done: bool = True  # its streams end in [DONE]
    extra: Mapping[str, str] = field(default_factory=dict)  # more headers, none of them secret


@runtime_checkable
class Reached(Protocol):
    """A stack with such a target."""

    def access(self) -> Access:
        """Call when it is ready."""
