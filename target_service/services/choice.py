"""Which service a replica is: what the command line says, else what the model folder says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from target_service.model.golden import GOLDEN
from target_service.protocol.reasoning import OPEN, Plain, Splitter, ThoughtSplitter

__all__ = ["ALL_IN_ONE", "AUTOGLM", "CHORD", "SERVICES", "service_of", "splitter_of"]

ALL_IN_ONE, AUTOGLM, CHORD = SERVICES = ("all-in-one", "autoglm", "chord")
_OPENED = re.compile(rf"add_generation_prompt.*{OPEN}", re.DOTALL)


def service_of(folder: Path, wanted: str = "auto") -> str:
    """The service by `wanted`, or for `auto` by golden.json's `service`, or by config.json's `model_type`.

    A folder that says nothing, or is too broken to say it, is the All-in-One service.
    """
    if wanted != "auto":
        return wanted
    named = _json(folder / GOLDEN).get("service")
    if named in SERVICES:
        return str(named)
    kind = str(_json(folder / "config.json").get("model_type", ""))
    if kind == "qwen2_5_vl":
        return CHORD
    return AUTOGLM if kind.startswith(("glm", "chatglm")) else ALL_IN_ONE


def splitter_of(folder: Path, service: str) -> Callable[[], Splitter]:
    """What tells a thought from an answer: only AutoGLM thinks."""
    if service != AUTOGLM:
        return Plain
    return partial(ThoughtSplitter, thinking=_template_opens(folder))


def _template_opens(folder: Path) -> bool:
    """Whether the prompt itself ends in an open thought, so that the answer begins inside it."""
    try:
        template = (folder / "chat_template.jinja").read_text("utf-8")
    except (OSError, ValueError):
        template = str(_json(folder / "tokenizer_config.json").get("chat_template", ""))
    return _OPENED.search(template) is not None


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
