"""The pristine model folder: what must be in it, its golden answers, and copies of it for each replica.

It is never opened for writing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.model.errors import StackError
from harness.model.plan import Prompt
from harness.model.scenario import TargetOptions

__all__ = ["asked", "check_model", "copy_model", "golden_prompts", "model_folder", "pristine_params_sha256"]

BUILD = "build one with `python -m target_service.build_model FOLDER`"


def check_model(folder: Path) -> None:
    """Raise StackError, naming file and remedy, when the folder cannot be served from or judged against."""
    if not folder.is_dir():
        raise StackError(f"{folder}: there is no model folder; {BUILD}")
    if not (folder / "config.json").is_file():
        raise StackError(f"{folder / 'config.json'}: missing, so this is not a model folder; {BUILD}")
    if not any(folder.glob("*.safetensors")):
        raise StackError(f"{folder}: holds no weights (*.safetensors); {BUILD}")
    golden_prompts(folder)


def golden_prompts(folder: Path) -> Mapping[str, tuple[Prompt, ...]]:
    """Name of each prompt set -> its prompts with golden answers."""
    tasks: Any = _golden(folder).get("tasks")
    try:
        prompts = {name: tuple(_prompt(item) for item in items) for name, items in tasks.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise StackError(f"{folder / 'golden.json'}: `tasks` is not as expected ({error!r}); {BUILD}") from error
    if not prompts or not all(prompts.values()):
        raise StackError(f"{folder / 'golden.json'}: `tasks` holds no prompts; {BUILD}")
    return prompts


def asked(prompts: Mapping[str, Sequence[Prompt]], tasks: Sequence[str]) -> list[Prompt]:
    """The prompts that users of these tasks have streamed; without such tasks, all."""
    sets = {task.removesuffix("_stream") for task in tasks if task.endswith("_stream")}
    return [one for name in sorted(sets or prompts) for one in prompts.get(name, ())]


def model_folder(stack_folder: Path, target: TargetOptions, replica: str) -> Path:
    """Where the copy of the model lies that a replica serves from."""
    return stack_folder / f"model-{'shared' if target.model_copies == 'shared' else replica}"


def pristine_params_sha256(folder: Path) -> str | None:
    """The digest of the parameters that an undamaged model has in memory."""
    value = _golden(folder).get("params_sha256")
    return value if isinstance(value, str) else None


def copy_model(source: Path, destination: Path) -> None:
    """A copy that shares nothing with the source: links are followed, every file's mode is 0644."""
    shutil.copytree(source, destination, copy_function=shutil.copyfile)
    for path in destination.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _golden(folder: Path) -> dict[str, Any]:
    path = folder / "golden.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StackError(f"{path}: golden answers cannot be read ({error.strerror}); {BUILD}") from error
    except ValueError as error:
        raise StackError(f"{path}: is not JSON ({error}); {BUILD}") from error
    return value if isinstance(value, dict) else {}


def _prompt(item: Mapping[str, Any]) -> Prompt:
    return Prompt(tuple(item["messages"]), int(item["max_tokens"]), item.get("answer"))
