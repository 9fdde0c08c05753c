"""POST /api/predict of Chord: image and prompt in, boxes out; many prompts or many images with errors kept apart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from aiohttp import web

from target_service.protocol.chat import ChatRequest, Message, Sampling
from target_service.protocol.errors import RequestRejectedError
from target_service.replica.chat import ChatHandler
from target_service.replica.engine import Finished
from target_service.services.grounding_request import Wanted, batch_in, wanted_in
from target_service.vision.boxes import boxes_in, scaled
from target_service.vision.images import image_size, unwrap
from target_service.vision.pixels import Preprocessing, read_preprocessing, smart_resize

__all__ = ["Grounding"]

Body = dict[str, Any]
Ask = Callable[[ChatRequest], Awaitable[tuple[str, Finished]]]


class Grounding:
    """The handlers; `folder` says how the model sees images."""

    def __init__(self, chat: ChatHandler, folder: Path) -> None:
        self._chat = chat
        self._folder = folder

    @cached_property
    def _how(self) -> Preprocessing:
        # Read when the model is loaded, so what it cannot be is broken.
        return read_preprocessing(self._folder)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One image, one prompt or several."""
        return await self._chat.counted(request, self._serve)

    async def handle_batch(self, request: web.Request) -> web.StreamResponse:
        """Several requests in one, each with a result of its own."""
        return await self._chat.counted(request, self._serve_batch)

    async def _serve(self, request: web.Request) -> tuple[web.StreamResponse, str]:
        engine, body = await self._chat.admitted(request)
        wanted, ask = wanted_in(body), partial(self._chat.ask, request, engine)
        size = await _size(wanted.image)
        if isinstance(body["prompt"], str):
            answer = await self._ground(ask, wanted, wanted.prompts[0], size)
            return web.json_response({**answer, "image_size": list(size)}), "ok"
        results = await _apart(self._ground(ask, wanted, prompt, size) for prompt in wanted.prompts)
        named = [{"prompt": prompt, **result} for prompt, result in zip(wanted.prompts, results, strict=True)]
        return _reply(named, {"image_size": list(size)})

    async def _serve_batch(self, request: web.Request) -> tuple[web.StreamResponse, str]:
        engine, body = await self._chat.admitted(request)
        ask = partial(self._chat.ask, request, engine)

        async def one(entry: object) -> Body:
            wanted = wanted_in(entry, single=True)
            size = await _size(wanted.image)
            return {
                **await self._ground(ask, wanted, wanted.prompts[0], size),
                "image_size": list(size),
            }

        return _reply(await _apart(one(entry) for entry in batch_in(body)), {})

    async def _ground(self, ask: Ask, wanted: Wanted, prompt: str, size: tuple[int, int]) -> Body:
        """Ask for one prompt; `answer` is what the model said, so that an unfinished one is no silent "nothing"."""
        message = Message("user", prompt, (wanted.image,))
        sampling = Sampling(max_tokens=wanted.max_new_tokens)
        asked = ChatRequest((message,), sampling, stream=False, include_usage=False)
        text, end = await ask(asked)
        height, width = smart_resize(size[1], size[0], self._how)
        boxes = [scaled(box, (width, height), size) for box in boxes_in(text)]
        return {"boxes": boxes, "answer": text, "finish_reason": end.finish_reason}


async def _size(image: str) -> tuple[int, int]:
    """Width and height; in a thread, as unpacking takes time that other requests need."""
    return await asyncio.to_thread(lambda: image_size(unwrap(image)))


async def _apart(asked: Iterable[Awaitable[Body]]) -> list[Body]:
    """Every result in order; one that is rejected becomes an error and harms no other."""

    async def shielded(one: Awaitable[Body]) -> Body:
        try:
            return await one
        except RequestRejectedError as rejected:
            return {**rejected.body(), "status": rejected.status}

    return list(await asyncio.gather(*(shielded(one) for one in asked)))


def _reply(results: Sequence[Body], rest: Body) -> tuple[web.StreamResponse, str]:
    """200 if any of the results is one; else the status that most of a caller's remedies begin with, the highest."""
    failed = [result for result in results if "error" in result]
    if len(failed) < len(results):
        return web.json_response({"results": results, **rest}), "ok"
    worst = max(failed, key=lambda result: int(result["status"]))
    body = {"error": worst["error"], "results": results, **rest}
    return web.json_response(body, status=worst["status"]), str(worst["status"])
