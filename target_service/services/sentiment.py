"""POST /predict of All-in-One: `{features}` in, `{prediction}` out. The model is the chat's, the prompt is another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping

from aiohttp import web

from target_service.data.sentiment import INSTRUCTION
from target_service.protocol.chat import ChatRequest, Message, Sampling
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.chat import ChatHandler

__all__ = ["SENTENCES_MAX", "Sentiment", "label_in", "sentences_in"]

SENTENCES_MAX = 32
TOKENS_MAX = 16
_LABEL = re.compile(r"\b(positive|negative)\b", re.IGNORECASE)


class Sentiment:
    """The handler."""

    def __init__(self, chat: ChatHandler) -> None:
        self._chat = chat

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One sentence gives one prediction, a list gives a list."""
        return await self._chat.counted(request, self._serve)

    async def _serve(self, request: web.Request) -> tuple[web.StreamResponse, str]:
        engine, body = await self._chat.admitted(request)
        sentences, single = sentences_in(body)

        async def predict(sentence: str) -> str:
            messages = (Message("system", INSTRUCTION), Message("user", sentence))
            wanted = ChatRequest(messages, Sampling(max_tokens=TOKENS_MAX), stream=False, include_usage=False)
            text, _ = await self._chat.ask(request, engine, wanted)
            return label_in(text)

        tasks = [asyncio.create_task(predict(sentence)) for sentence in sentences]
        try:
            predictions = await asyncio.gather(*tasks)
        finally:
            # The first that fails decides the reply; the others would compute for nobody.
            for task in tasks:
                task.cancel()
        return web.json_response({"prediction": predictions[0] if single else predictions}), "ok"


def sentences_in(body: object) -> tuple[list[str], bool]:
    """The sentences of a body, and whether it is one outside a list; raises RequestRejectedError."""
    features = body.get("features") if isinstance(body, Mapping) else None
    listed = features if isinstance(features, list) else [features]
    sentences = [each for each in listed if isinstance(each, str) and each.strip()]
    if not sentences or len(sentences) < len(listed):
        raise RequestRejectedError(422, "features must be a text or a list of texts, none empty.", param="features")
    if len(sentences) > SENTENCES_MAX:
        raise RequestRejectedError(413, f"features has more than {SENTENCES_MAX} texts.", param="features")
    return sentences, not isinstance(features, list)


def label_in(text: str) -> str:
    """The label that an answer names first; raises RequestRejectedError (500) if it names none."""
    found = _LABEL.search(text)
    if found is None:
        raise RequestRejectedError(500, f"The model said {text!r}, which is no sentiment.", code="no_prediction")
    return found[1].lower()
