"""Volumes of a run on an engine of another host, filled through the engine: files reach it in no other way."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import closing

from harness.model.errors import StackError
from harness.stack.containers.engine import connected, saying
from harness.stack.containers.project import RUN, project_name
from harness.stack.remote.project import Files, packed

__all__ = ["COPY_S", "fill_volumes"]

COPY_S = 1800  # a model of some GB over a slow line
SPOOL_BYTES = 64 * 1024 * 1024


def fill_volumes(run_id: str, image: str, contents: Mapping[str, tuple[str, Files]]) -> None:
    """Make volumes and fill them; `contents`: where -> (name of the volume, files). Raises StackError.

    A container of the run's that never starts takes the files, and is removed again.
    """
    labels = {RUN: run_id}
    with saying("the run's files were not copied to the Docker engine"), closing(connected(COPY_S)) as client:
        for name, _ in contents.values():
            client.volumes.create(name, labels=labels)
        filler = client.containers.create(
            image,
            ["true"],
            name=f"{project_name(run_id)}-filler",
            labels=labels,
            network_mode="none",
            volumes={name: {"bind": place, "mode": "rw"} for place, (name, _) in contents.items()},
        )
        try:
            for place, (_, files) in contents.items():
                with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as archive:
                    packed(files, archive)
                    if not filler.put_archive(place, archive):
                        raise StackError(f"the Docker engine did not take the files for {place}")
        finally:
            filler.remove(force=True)
