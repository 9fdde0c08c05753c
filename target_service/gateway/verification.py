"""Ask a replica golden prompts before it gets users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from target_service.gateway.settings import ReplicaAddress
from target_service.model.golden import GoldenPrompt, read_golden

__all__ = ["Verifier"]

PROBE_HEADERS = {"X-Probe": "gateway-golden"}
# For a model without known answers: anything well-formed will do.
ANY_PROMPT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "temperature": 0}


class Verifier:
    """Asks `prompts` golden prompts, others each time, the tasks in turn."""

    def __init__(self, golden: Path | None, prompts: int, timeout_s: float) -> None:
        known = read_golden(golden) if golden is not None else None
        if golden is not None and (known is None or not known.prompts):
            raise ValueError(f"{golden} has no golden prompts")
        self._rotation: Iterator[GoldenPrompt] | None = known.rotation() if known else None
        self._prompts = prompts
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def verify(self, session: aiohttp.ClientSession, replica: ReplicaAddress) -> dict[str, Any] | None:
        """None when all answers were right, else details of the first that was not."""
        for _ in range(self._prompts):
            prompt = next(self._rotation) if self._rotation else None
            body = prompt.body() if prompt else ANY_PROMPT
            asked = prompt.question if prompt else "Hello"
            expected = prompt.answer if prompt else None
            try:
                got = await self._ask(session, replica, body)
            except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
                problem = f"{type(error).__name__}: {error}"
                return {"asked": asked, "expected": expected, "got": None, "reason": problem}
            if not isinstance(got, str) or (prompt and got != prompt.answer):
                return {"asked": asked, "expected": expected, "got": got, "reason": "wrong answer"}
        return None

    async def _ask(self, session: aiohttp.ClientSession, replica: ReplicaAddress, body: dict[str, Any]) -> object:
        async with session.post(
            f"{replica.url}/v1/chat/completions",
            json=body,
            headers=PROBE_HEADERS,
            timeout=self._timeout,
        ) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            data = await response.json()
            return data["choices"][0]["message"]["content"]
