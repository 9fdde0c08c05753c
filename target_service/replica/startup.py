"""From a folder to a proven engine. Runs in a thread of its own; slow imports happen here."""

from __future__ import annotations

import logging
import queue
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from target_service.model.golden import GOLDEN, Golden, read_golden
from target_service.model.loading import BadModelError, LoadOptions, load
from target_service.model.manifest import MANIFEST, read_manifest
from target_service.protocol.chat import parse_chat
from target_service.replica.engine import Disturbance, Engine, Event, Failed, Finished, Piece
from target_service.replica.integrity import CheckedFiles, check_files, check_parameters, recheck
from target_service.replica.settings import ReplicaSettings
from target_service.replica.state import Serving

__all__ = ["Identity", "identify", "start_serving"]

log = logging.getLogger(__name__)

SELF_TEST_PROMPTS = 4
SELF_TEST_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Identity:
    """The model's name and the hash its manifest (or, without one, nothing) gives its weights."""

    model: str
    weights_sha256: str | None


def identify(folder: Path) -> Identity:
    """Read the cheap facts about a folder; a folder too broken to tell is named after itself."""
    try:
        golden, manifest = read_golden(folder / GOLDEN), read_manifest(folder)
    except (ValueError, OSError):
        return Identity(folder.name, None)
    files = manifest["files"] if manifest else {}
    sha256 = files.get("model.safetensors", {}).get("sha256")
    return Identity(golden.model if golden else folder.name, sha256)


def start_serving(settings: ReplicaSettings, disturbance: Disturbance) -> Serving:
    """Verify, load, start the engine, test it; raises BadModelError naming the detector that fired."""
    begin_s = time.monotonic()
    # First, as it needs no torch: a changed file is refused within milliseconds.
    files = None if settings.verify_weights == "off" else check_files(settings.model)
    time.sleep(settings.slow_load_s)
    options = LoadOptions(
        settings.model,
        settings.dtype,
        settings.disable_mmap,
        threads=max(1, settings.threads),
        check_length=settings.http.validate,
    )
    loaded = load(options)
    if files is not None:
        check_parameters(loaded)
    engine = Engine(loaded.decoder, settings.engine, disturbance=disturbance)
    engine.start()
    # Also the warm-up: the first forward pass is much slower than all others.
    _self_test(engine, files.golden if files else None)
    load_s = time.monotonic() - begin_s
    verified, note = _verified(files)
    again = None if files is None else partial(recheck, settings.model, files, loaded)
    return Serving(engine, loaded, verified, note, load_s, again)


def _verified(files: CheckedFiles | None) -> tuple[bool | None, str]:
    if files is None:
        return None, "verification is off (--verify-weights off)"
    if files.manifest is None or files.golden is None:
        return None, f"the model folder has no {GOLDEN if files.manifest else MANIFEST}"
    return True, "manifest, parameters and golden prompts are right"


def _self_test(engine: Engine, golden: Golden | None) -> None:
    if golden is None:
        _ask(engine, {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2})
        return
    rotation = golden.rotation()
    for _ in range(SELF_TEST_PROMPTS):
        prompt = next(rotation)
        got = _ask(engine, prompt.body())
        if got != prompt.answer:
            asked = prompt.messages[-1]["content"]
            raise BadModelError(f"golden: {asked!r} is answered {got!r}, not {prompt.answer!r}")


def _ask(engine: Engine, body: dict[str, object]) -> str:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    engine.submit(parse_chat(body, ""), events.put)
    text = ""
    while True:
        try:
            event = events.get(timeout=SELF_TEST_TIMEOUT_S)
        except queue.Empty:
            raise BadModelError(f"golden: no answer within {SELF_TEST_TIMEOUT_S:g} s") from None
        if isinstance(event, Failed):
            raise BadModelError(f"golden: {event.rejected.message}")
        if isinstance(event, Piece):
            text += event.text
        if isinstance(event, Finished):
            return text
