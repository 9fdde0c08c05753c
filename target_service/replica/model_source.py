"""Where a process's model comes from: a folder, with no hub in reach, or a hub, with room for what it gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from target_service.model.loading import stay_offline
from target_service.replica.settings import ReplicaSettings

__all__ = ["model_source"]


@contextmanager
def model_source(settings: ReplicaSettings) -> Iterator[ReplicaSettings]:
    """The settings to load with. Enter it before transformers is imported; what was downloaded goes at the end."""
    if settings.hub_url is None:
        stay_offline()
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="downloaded-model-") as folder:
        yield replace(settings, download_to=Path(folder, "model"))
