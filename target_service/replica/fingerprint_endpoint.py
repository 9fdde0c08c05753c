"""POST /fingerprint: log-probabilities of given texts, so that a gateway can compare them with what it knows."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from target_service.protocol.body import read_json
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.web import error_reply
from target_service.replica.state import ReplicaState

__all__ = ["FingerprintEndpoint"]

TEXTS_MAX = 16
CHARACTERS_MAX = 4_000  # of a text: each of them is one forward pass


class FingerprintEndpoint:
    """Beside the engine: a forward pass of known texts takes no turn from users and waits for none."""

    def __init__(self, state: ReplicaState) -> None:
        self._state = state

    async def handle(self, request: web.Request) -> web.Response:
        """{"texts": [{"messages": [...], "answer": "..."}]} gives {"dtype": ..., "logprobs": [[...]]}; 400, 503."""
        serving = self._state.serving
        if serving is None:
            return error_reply(RequestRejectedError(503, "No model is loaded.", retry_after_s=1))
        try:
            texts = _texts(await read_json(request))
        except (ValueError, KeyError, TypeError):
            what = f"`texts` must be 1 to {TEXTS_MAX} of messages and answer, {CHARACTERS_MAX} characters each at most."
            return error_reply(RequestRejectedError(400, what, param="texts"))
        return web.json_response(dict(await serving.loaded.fingerprint(texts)))


def _texts(body: object) -> list[dict[str, Any]]:
    """Raises ValueError, KeyError or TypeError for anything that is not what it should be."""
    entries = body["texts"] if isinstance(body, dict) else None
    if not isinstance(entries, list) or not 1 <= len(entries) <= TEXTS_MAX:
        raise ValueError
    found = []
    for entry in entries:
        messages = [{"role": turn["role"], "content": turn["content"]} for turn in entry["messages"]]
        words = [entry["answer"], *(value for turn in messages for value in turn.values())]
        if not messages or not all(isinstance(word, str) for word in words):
            raise ValueError
        if sum(map(len, words)) > CHARACTERS_MAX:
            raise ValueError
        found.append({"messages": messages, "answer": entry["answer"]})
    return found
