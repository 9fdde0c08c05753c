"""From the store of trials to the report's files."""

from __future__ import annotations

from harness.model.errors import HarnessError
from harness.model.soak import SoakFile
from harness.model.soak_report import SoakReport
from harness.soak.project import project
from harness.store.projection import PROJECTION, to_json, write_files
from harness.store.trials import TrialStore

__all__ = ["make_report"]


def make_report(soak: SoakFile, store: TrialStore) -> tuple[SoakReport, tuple[str, ...]]:
    """The projection, and sentences on what of the store could not be read. Its files lie beside the trials.

    Raises HarnessError when there is no trial at all, RunFolderError for a store of another version.
    """
    from harness.render.soak import to_html, to_markdown  # here, since drawing takes half a second to import

    nights, damage = store.read()
    if not nights:
        raise HarnessError(f"{store.path} holds no trials: measure a night with 'harness soak measure {soak.file}'")
    report = project(soak, nights)
    files = {PROJECTION: to_json(report), "report.md": to_markdown(report), "report.html": to_html(report)}
    write_files(store.path.parent, files)
    return report, damage
