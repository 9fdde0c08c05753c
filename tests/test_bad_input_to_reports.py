"""Bad input: the report is written, says what is missing, and escapes everything, from the run's folder to the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.archive import write_index
from harness.model.verdict import VerdictOutcome
from harness.session import judge_folder
from harness.store.folder import RunFolder
from tests.fake_run import run_fake
from tests.render.parsed import Page

pytestmark = pytest.mark.whole

KILL = "faults: [{kind: process.kill, on: primary, at_s: 1}]\nobserve: {recovery_s: {max: 20}}\n"
HOSTILE = "</td><script>alert(1)</script><img src=x onerror=alert(1)>"


def fault_s(folder: RunFolder) -> float:
    """The fault's begin on the host's clock."""
    events = [json.loads(line) for line in folder.events.read_text().splitlines()]
    begun = next(event["at_s"] for event in events if event["kind"] == "fault_begin")
    return float(begun + json.loads(folder.header.read_text())["origin_monotonic_s"])


def page_of(folder: RunFolder) -> Page:
    return Page((folder.path / "report.html").read_text(encoding="utf-8"))


def test_a_hostile_log_line_is_shown_as_text_in_the_report(tmp_path: Path) -> None:
    folder = run_fake(tmp_path, KILL)
    stamp = f"{fault_s(folder) + 0.2:.3f}"
    (folder.stack / f"{'x' * 20}.err.log").write_text(f"{stamp} error {HOSTILE}\x00\x1b[2J\n")
    verdict = judge_folder(folder)
    assert HOSTILE in verdict.logs[0].lines[0].text
    page = page_of(folder)
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert "<script>alert(1)</script>" in page.text
    assert page.open == []


def test_a_dead_run_is_reported_with_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    folder = run_fake(tmp_path, KILL)
    lines = folder.events.read_text().splitlines(keepends=True)
    cut = next(index for index, line in enumerate(lines) if '"fault_end"' in line)
    folder.events.write_text("".join(lines[:cut]) + lines[cut][:20])
    verdict = judge_folder(folder)
    assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    assert {one.check for one in verdict.runbook} >= {"complete", "records"}
    assert "the harness died before the run's end" in page_of(folder).text


def test_a_run_with_a_gap_in_its_requests_is_reported_and_the_gap_is_counted(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    folder = run_fake(tmp_path, KILL)
    folder.read()
    table = pq.read_table(folder.requests, memory_map=False)
    rows = table.to_pandas()
    user = rows["lane"] == "user"
    middle = user & (rows["index"] >= 100) & (rows["index"] < 150)
    pq.write_table(table.filter((~middle).to_numpy()), folder.requests)
    verdict = judge_folder(folder)
    assert verdict.outcome is VerdictOutcome.INCONCLUSIVE
    assert "50 of" in next(one.reason for one in verdict.findings if one.check == "accounting")
    assert page_of(folder).open == []


def test_a_folder_of_a_run_that_never_began_is_in_the_index_and_harms_no_other(tmp_path: Path) -> None:
    whole, dead = run_fake(tmp_path / "a", KILL), run_fake(tmp_path / "b", KILL)
    judge_folder(whole)
    for name in ("events.jsonl", "requests.parquet", "plan.json"):
        (dead.path / name).unlink(missing_ok=True)
    path, archive = write_index(tmp_path)
    assert len(archive.runs) == 1
    assert [one.state for one in archive.left_out] == ["not judged"]
    assert Page(path.read_text(encoding="utf-8")).open == []
