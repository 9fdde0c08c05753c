"""Ask a replica golden prompts before it gets users."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from target_service.gateway.settings import ReplicaAddress
from target_service.model.fingerprint import FINGERPRINT, Fingerprint, deviation, read_fingerprint
from target_service.model.golden import GoldenPrompt, read_golden
from target_service.protocol.sse import DONE

__all__ = ["Verifier", "streamed_text"]

PROBE_HEADERS = {"X-Probe": "gateway-golden"}
# For a model without known answers: anything well-formed will do.
ANY_PROMPT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4, "temperature": 0}


def streamed_text(events: bytes) -> str:
    """The text of a stream's events; raises ValueError when it did not come to its end."""
    if not events.endswith(DONE):
        raise ValueError("the stream ended early")
    lines = (line.removeprefix(b"data: ") for line in events.removesuffix(DONE).split(b"\n\n") if line)
    choices = [choice for line in lines if not line.startswith(b":") for choice in json.loads(line)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


class Verifier:
    """Asks `prompts` golden prompts, others each time, the tasks in turn, and then for `texts` log-probabilities.

    With `streams` the answers must come as users get most of theirs: token by token, and to their end.
    """

    def __init__(
        self, golden: Path | None, prompts: int, timeout_s: float, *, texts: int = 0, streams: bool = False
    ) -> None:
        known = read_golden(golden) if golden is not None else None
        if golden is not None and (known is None or not known.prompts):
            raise ValueError(f"{golden} has no golden prompts")
        self._rotation: Iterator[GoldenPrompt] | None = known.rotation() if known else None
        # A model that was published without a fingerprint is compared by its answers alone.
        self._fingerprint = read_fingerprint(golden.with_name(FINGERPRINT)) if golden is not None and texts else None
        self._texts = texts
        self._prompts = prompts
        self._streams = streams
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
        return None if self._fingerprint is None else await self._compare(session, replica, self._fingerprint)

    async def _compare(
        self, session: aiohttp.ClientSession, replica: ReplicaAddress, known: Fingerprint
    ) -> dict[str, Any] | None:
        """None when the log-probabilities are right, or when the replica has none, or another dtype's."""
        texts = known.texts[: self._texts]
        body = {"texts": [{"messages": list(text.messages), "answer": text.answer} for text in texts]}
        url, expected = f"{replica.url}/fingerprint", f"log-probabilities within {known.tolerance:g}"
        try:
            async with session.post(url, json=body, headers=PROBE_HEADERS, timeout=self._timeout) as response:
                if response.status in (404, 405):
                    return None
                if response.status != 200:
                    raise ValueError(f"status {response.status}")
                said = await response.json()
                if said["dtype"] != known.dtype:
                    return None
                pairs = zip(texts, said["logprobs"], strict=True)
                off = max(deviation(text.logprobs, got) for text, got in pairs)
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
            problem = f"fingerprint: {type(error).__name__}: {error}"
            return {"asked": url, "expected": expected, "got": None, "reason": problem}
        if off <= known.tolerance:
            return None
        return {"asked": url, "expected": expected, "got": f"off by {off:.2g}", "reason": "fingerprint"}

    async def _ask(self, session: aiohttp.ClientSession, replica: ReplicaAddress, body: dict[str, Any]) -> object:
        async with session.post(
            f"{replica.url}/v1/chat/completions",
            json={**body, "stream": True} if self._streams else body,
            headers=PROBE_HEADERS,
            timeout=self._timeout,
        ) as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            if self._streams:
                return streamed_text(await response.read())
            data = await response.json()
            return data["choices"][0]["message"]["content"]
