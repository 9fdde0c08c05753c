"""What a server can learn of the model that its engine's process holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from target_service.replica.engine_client import EngineClient, EngineGoneError, gone

__all__ = ["RemoteModel"]

ANSWER_WITHIN_S = 30.0


@dataclass(frozen=True)
class RemoteModel:
    """The model in an engine's process. Both questions raise RequestRejectedError (503) without an answer."""

    client: EngineClient
    versions: Mapping[str, str]

    async def digests(self) -> Mapping[str, str]:
        """SHA-256 of what is in the engine's memory, as hex."""
        return cast(Mapping[str, str], await self._ask("digests", None))

    async def fingerprint(self, texts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """`dtype`, and `logprobs` of each text's answer, one number a token."""
        return cast(Mapping[str, Any], await self._ask("fingerprint", list(texts)))

    async def _ask(self, what: str, argument: Any) -> Any:
        try:
            return await self.client.call(what, ANSWER_WITHIN_S, argument)
        except (EngineGoneError, TimeoutError, ValueError) as error:
            raise gone(f"the engine says no {what}: {error!r}") from error
