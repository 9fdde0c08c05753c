"""From a folder to a proven engine. Runs in a thread of its own; slow imports happen here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from target_service.model.fingerprint import FINGERPRINT, dtype_of, token_logprobs
from target_service.model.golden import GOLDEN, read_golden
from target_service.model.loading import Loaded, LoadOptions, load, params_sha256, parts_sha256
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

__all__ = ["Identity", "LocalModel", "identify", "start_serving"]

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


@dataclass(frozen=True)
class LocalModel:
    """The model in this process."""

    loaded: Loaded

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of the libraries that it was loaded with."""
        return self.loaded.versions

    def digests_now(self) -> Mapping[str, str]:
        """SHA-256 of parameters, configuration and tokenizer in memory, as hex."""
        decoder = self.loaded.decoder
        parts = {f"{part}_sha256": value for part, value in parts_sha256(decoder).items()}
        return {"params_sha256": params_sha256(decoder.network), **parts}

    async def digests(self) -> Mapping[str, str]:
        """The same, in a thread."""
        return await asyncio.to_thread(self.digests_now)

    def fingerprint_now(self, texts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """`dtype`, and `logprobs` of each text's answer, one number a token; each text is one forward pass."""
        decoder = self.loaded.decoder
        logprobs = [token_logprobs(decoder, text["messages"], text["answer"]) for text in texts]
        return {"dtype": dtype_of(decoder.network), "logprobs": logprobs}

    async def fingerprint(self, texts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """The same, in a thread: it takes no turn from users and waits for none."""
        return await asyncio.to_thread(self.fingerprint_now, texts)


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
    return Serving(engine, LocalModel(loaded), verified, note, load_s, again)


def _verified(files: CheckedFiles | None, *, compared: bool) -> tuple[bool | None, str]:
    if files is None:
        return None, "verification is off (--verify-weights off)"
    if files.manifest is None or files.golden is None:
        return None, f"the model folder has no {GOLDEN if files.manifest else MANIFEST}"
    if not compared:
        why = f"the folder has no {FINGERPRINT}" if files.fingerprint is None else "another --dtype"
        return True, f"manifest, parameters and golden prompts are right; no fingerprint was compared ({why})"
    return True, "manifest, parameters, fingerprint and golden prompts are right"
