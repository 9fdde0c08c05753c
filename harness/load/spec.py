"""What the load child is told: everything it needs in one JSON file, so that it can be started again by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from harness.model.plan import Arrivals, Prompt, Task

__all__ = ["LoadSpec"]


@dataclass(frozen=True)
class LoadSpec:
    """One run's load. Lanes are `user`, `warmup` and `control`."""

    base_url: str  # of the target: http://host:port, without a path
    log_path: str
    origin_monotonic_s: float  # the log's zero, on the host's monotonic clock
    run_id: str
    deadline_s: float  # from the scheduled time to the last byte
    tasks: tuple[Task, ...]
    lanes: Mapping[str, Arrivals]
    echo_url: str = ""  # of the control lane; the driver fills it in
    connections: Literal["reuse", "new"] = "reuse"
    retries: int = 0
    prompt_words: int | None = None  # pad prompts to this many words
    output_tokens: int | None = None  # overrides max_tokens
    model: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)  # nothing secret: this is written to a file
    host: str | None = None  # the Host header and TLS name, when base_url is that of a proxy
    api_key_env: str | None = None  # the child reads the key from this variable
    ca_file: str | None = None  # certificates to trust
    salted: bool = True  # a cache_salt in each body
    ends_with_done: bool = True  # a whole stream ends in [DONE]

    def to_json(self) -> str:
        """The whole spec as one JSON object."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> LoadSpec:
        """The inverse of `to_json`."""
        raw: dict[str, Any] = json.loads(text)
        raw["tasks"] = tuple(_task(task) for task in raw["tasks"])
        raw["lanes"] = {name: Arrivals(**lane) for name, lane in raw["lanes"].items()}
        return cls(**raw)


def _task(raw: Mapping[str, Any]) -> Task:
    prompts = tuple(Prompt(tuple(p["messages"]), p["max_tokens"], p["answer"]) for p in raw["prompts"])
    return Task(raw["name"], raw["stream"], prompts)
