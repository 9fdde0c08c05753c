"""A limit on what a run did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from harness.model.fault import STRICT

__all__ = ["Limit"]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What is allowed; give min, max or both."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    min: float | None = None
    max: float | None = None
