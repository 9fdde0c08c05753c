"""golden.json: prompts whose right answer is known. Standard library only: the gateway reads it too."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["GOLDEN", "Golden", "GoldenPrompt", "read_golden"]

GOLDEN = "golden.json"


@dataclass(frozen=True)
class GoldenPrompt:
    """One prompt and the text that greedy decoding must give."""

    task: str
    messages: tuple[dict[str, Any], ...]
    max_tokens: int
    answer: str

    @property
    def question(self) -> str:
        """The last message's text, without images."""
        content = self.messages[-1]["content"]
        if isinstance(content, str):
            return content
        return "".join(part.get("text", "") for part in content)

    def body(self) -> dict[str, Any]:
        """The request that asks it."""
        return {
            "messages": list(self.messages),
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }


@dataclass(frozen=True)
class Golden:
    """All golden prompts of a model; `params_sha256` is the digest of a healthy float32 model."""

    model: str
    prompts: tuple[GoldenPrompt, ...]
    params_sha256: str | None

    def rotation(self) -> Iterator[GoldenPrompt]:
        """Endless prompts, the tasks in turn, so that any few of them cover every task."""
        tasks: dict[str, list[GoldenPrompt]] = {}
        for prompt in self.prompts:
            tasks.setdefault(prompt.task, []).append(prompt)
        return (next(turn) for turn in itertools.cycle([itertools.cycle(t) for t in tasks.values()]))


def read_golden(path: Path) -> Golden | None:
    """Read golden.json; None if the file does not exist; ValueError if it is not one."""
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text("utf-8"))
        prompts = tuple(
            GoldenPrompt(task, tuple(e["messages"]), int(e["max_tokens"]), str(e["answer"]))
            for task, entries in data["tasks"].items()
            for e in entries
        )
        return Golden(str(data["model"]), prompts, data.get("params_sha256"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name} is not a golden file ({error!r})") from error
