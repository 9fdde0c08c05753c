"""From a folder to a proven engine. Runs in a thread of its own; slow imports happen here."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from target_service.model.fingerprint import FINGERPRINT
from target_service.model.golden import GOLDEN, read_golden
from target_service.model.loading import LoadOptions, load
from target_service.model.manifest import MANIFEST, read_manifest
from target_service.model.remote import fetch
from target_service.replica.engine import Disturbance, Engine
from target_service.replica.integrity import (
    CheckedFiles,
    check_files,
    check_fingerprint,
    check_parameters,
    recheck,
)
from target_service.replica.self_test import ask_golden, warm_up
from target_service.replica.settings import ReplicaSettings
from target_service.replica.state import Serving

__all__ = ["Identity", "identify", "start_serving"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Identity:
    """The model's name and the hash its manifest (or, without one, nothing) gives its weights."""

    model: str
    weights_sha256: str | None
    version: str | None = None
    """The tag under which it was released; see `target_service.releases`."""


def identify(folder: Path) -> Identity:
    """Read the cheap facts about a folder; a folder too broken to tell is named after itself."""
    try:
        golden, manifest = read_golden(folder / GOLDEN), read_manifest(folder)
    except (ValueError, OSError):
        return Identity(folder.name, None)
    files = manifest["files"] if manifest else {}
    sha256 = files.get("model.safetensors", {}).get("sha256")
    version = manifest.get("version") if manifest else None
    return Identity(golden.model if golden else folder.name, sha256, version if isinstance(version, str) else None)


def start_serving(settings: ReplicaSettings, disturbance: Disturbance) -> Serving:
    """Verify, load, start the engine, test it; raises BadModelError naming the detector that fired."""
    begin_s = time.monotonic()
    if settings.hub_url is not None:
        assert settings.download_to is not None
        model = fetch(settings.hub_url, settings.model.as_posix(), settings.download_to)
        settings = replace(settings, model=model)
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
    compared = False
    if files is not None:
        check_parameters(loaded)
        compared = files.fingerprint is not None and check_fingerprint(loaded, files.fingerprint)
    engine = Engine(loaded.decoder, settings.engine, disturbance=disturbance)
    engine.start()
    if files is not None and files.golden is not None:
        ask_golden(engine, files.golden)
    warm_up(engine, settings.warmup_tokens)
    load_s = time.monotonic() - begin_s
    verified, note = _verified(files, compared=compared)
    again = None if files is None else partial(recheck, settings.model, files, loaded)
    return Serving(engine, loaded, verified, note, load_s, again)


def _verified(files: CheckedFiles | None, *, compared: bool) -> tuple[bool | None, str]:
    if files is None:
        return None, "verification is off (--verify-weights off)"
    if files.manifest is None or files.golden is None:
        return None, f"the model folder has no {GOLDEN if files.manifest else MANIFEST}"
    if not compared:
        why = f"the folder has no {FINGERPRINT}" if files.fingerprint is None else "another --dtype"
        return True, f"manifest, parameters and golden prompts are right; no fingerprint was compared ({why})"
    return True, "manifest, parameters, fingerprint and golden prompts are right"
