"""Fetch a model from a hub at every start: what is warned of, kept as an option so that its failure can be shown.

A start that needs a hub fails when the hub is down, slow, or has moved the model, though a good copy lies on disk.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from target_service.model.loading import BadModelError

__all__ = ["fetch"]

TIMEOUT_S = 10.0


def fetch(hub_url: str, repository: str, into: Path, timeout_s: float = TIMEOUT_S) -> Path:
    """Download a repository's files into a folder and return it; BadModelError names the hub and the remedy.

    `timeout_s` bounds each answer of the hub; the client tries some times, so a silent hub is a failure after minutes.
    """
    if urlsplit(hub_url).scheme not in ("http", "https"):
        raise BadModelError(f"download: {hub_url!r} is no URL of a hub; --hub-url is one, as in http://127.0.0.1:8080")
    try:
        from huggingface_hub import constants, snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        # The client takes it from the environment when it is imported; nobody else in this process downloads.
        vars(constants)["HF_HUB_DOWNLOAD_TIMEOUT"] = timeout_s
        cache = into.with_name(f"{into.name}.cache")  # not the user's: what a start leaves there would help the next
        folder = snapshot_download(
            repository, endpoint=hub_url, local_dir=into, cache_dir=cache, etag_timeout=timeout_s, token=False
        )
    # Measured: anything from an HTTP error to LocalEntryNotFoundError, over three libraries.
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise BadModelError(
            f"download: {repository} cannot be fetched from {hub_url} ({type(error).__name__}: {words}); "
            f"serve a copy on disk with --model-source local --model FOLDER"
        ) from error
    return Path(folder)
