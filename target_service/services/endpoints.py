"""The endpoints that a service has beside /v1."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from target_service.protocol import paths
from target_service.replica.chat import ChatHandler
from target_service.services.choice import ALL_IN_ONE, CHORD
from target_service.services.grounding import Grounding
from target_service.services.sentiment import Sentiment

__all__ = ["add_endpoints"]


def add_endpoints(app: web.Application, service: str, folder: Path, chat: ChatHandler) -> None:
    """Add a service's routes; AutoGLM has none of its own."""
    if service == ALL_IN_ONE:
        app.router.add_post(paths.PREDICT, Sentiment(chat).handle)
    elif service == CHORD:
        grounding = Grounding(chat, folder)
        app.router.add_post(paths.GROUND, grounding.handle)
        app.router.add_post(paths.GROUND_BATCH, grounding.handle_batch)
