"""A target that is somebody's own: where it is, how it is asked, and what may be done to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from annotated_types import Ge, Le

from harness.model.fault import STRICT, SecondsAboveZero

__all__ = ["External"]


@dataclass(frozen=True, kw_only=True)
class External:
    """An OpenAI-compatible server: vLLM, TGI, SGLang, llama.cpp, or any other. Used with `--stack external` only."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = STRICT

    url: str | None = None
    """http://host:port, with or without /v1; `--url` outranks it."""
    model: str | None = None
    """The name that requests ask for; default: the first that GET /v1/models lists, or none."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never written anywhere."""
    ca_file: str | None = None
    """Certificates (PEM) to trust, when the server's is not signed by a public authority."""
    health: str | None = "/health"
    """Path of the liveness probe; any 2xx is good. null: it has none."""
    ready: str | None = "/v1/models"
    """Path of the readiness probe; any 2xx is good. null: it has none."""
    probe_every_s: SecondsAboveZero = 1.0
    """How often health and readiness are asked during the run, and how long they may take to answer."""
    golden_every_s: SecondsAboveZero = 10.0
    """How often the golden probe asks for a real answer during the run, and how long that may take."""
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Prompt sets for load.mix, as in {chat: [What is 2 + 2?]}; default: a set `chat` and a set `sentiment`."""
    max_tokens: Annotated[int, Ge(1), Le(4096)] = 16
    """Of each answer; load.output_tokens outranks it."""
    tokens_max: Annotated[int, Ge(1)] | None = None
    """A plan that could ask for more tokens, prompts and answers together, is refused."""
    cache_salt: bool = False
    """Send a `cache_salt` with each request, so that no cache answers for the model; vLLM knows it, some refuse it."""
    proxy: bool = True
    """Put the harness's own proxy in front, which network faults on `gateway` need."""
    toxiproxy: str | None = None
    """API of a Toxiproxy that stands on the target's hops, as http://127.0.0.1:8474; its proxies are the links then."""
    hops: Mapping[str, str] = field(default_factory=dict)
    """Link of that Toxiproxy -> host:port at which what is behind it is reached from here, for looks past the proxy."""
    containers: str | None = None
    """Containers with this label, KEY or KEY=VALUE, can be hit if they carry reliability-harness.target=NAME, too."""
