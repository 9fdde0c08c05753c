"""A run in the formats of other tools. The columns are documented in REQUEST_COLUMNS, with the unit in each name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from harness.archive import read_verdict
from harness.model.errors import HarnessError
from harness.store.folder import RunFolder

__all__ = ["FORMATS", "export"]


def export(folder: Path, kind: str, out: Path) -> None:
    """Write the run in `folder` as `kind` into the file `out`. Raises HarnessError with the remedy."""
    try:
        FORMATS[kind][1](folder, out)
    except OSError as error:
        raise HarnessError(f"{out} cannot be written: {error.strerror or error}; choose another --out") from error


def _requests(folder: Path, out: Path, *, csv: bool) -> None:
    """The folder is read as the judge reads it, so that a run that died is exported with what is known of it."""
    from harness.store.requests import export_requests

    run = RunFolder(folder)
    run.read()
    export_requests(run.requests, out, csv=csv)


def _rendered(name: str) -> Callable[[Path, Path], None]:
    def write(folder: Path, out: Path) -> None:
        from harness.render import RENDERERS

        out.write_text(RENDERERS[name](read_verdict(folder)), encoding="utf-8")

    return write


def _openmetrics(folder: Path, out: Path) -> None:
    from harness.render.openmetrics import to_openmetrics

    out.write_text(to_openmetrics(read_verdict(folder)), encoding="utf-8")


FORMATS: Mapping[str, tuple[str, Callable[[Path, Path], None]]] = MappingProxyType(
    {
        "csv": ("requests.csv", lambda folder, out: _requests(folder, out, csv=True)),
        "parquet": ("requests-export.parquet", lambda folder, out: _requests(folder, out, csv=False)),
        "openmetrics": ("metrics.txt", _openmetrics),
        "junit": ("junit.xml", _rendered("junit.xml")),
        "markdown": ("report.md", _rendered("report.md")),
    }
)
"""Name of the format -> (the file's usual name, what writes it)."""
