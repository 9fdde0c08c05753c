"""The logs of a whole run beside its verdict: found, shown, and without any say in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.session import judge_folder
from harness.store.folder import RunFolder
from tests.analysis.log_writer import BEGIN_S, during, traffic
from tests.fake_run import run_fake
from tests.render.parsed import Page

pytestmark = pytest.mark.whole

HOSTILE = "</td><script>alert(1)</script>"
HEAD = "name: x\nload: {rate_per_s: 20, mix: {chat: 1}}\nphases: {baseline_s: 30, recovery_s: 30}\n"
SCENARIO = """
faults: [{kind: process.kill, on: primary, at_s: 1}]
observe: {recovery_s: {max: 20}}
log_rules: [{name: "a hostile </td><script> rule", pattern: "alert", at_least: 2, within_s: 5}]
"""


def begin_on_host_s(folder: RunFolder) -> float:
    """Of the schedule, on the host's clock."""
    events = [json.loads(line) for line in folder.events.read_text().splitlines()]
    begin_s = next(event["begin_s"] for event in events if event["kind"] == "schedule_begin")
    return float(begin_s + json.loads(folder.header.read_text())["origin_monotonic_s"])


def test_logs_are_marked_on_the_timeline_and_change_no_verdict(tmp_path: Path) -> None:
    folder = run_fake(tmp_path, SCENARIO, head=HEAD)
    before = judge_folder(folder)
    assert before.log_evidence is None
    logs, host_s = folder.stack / "logs", begin_on_host_s(folder)
    logs.mkdir(parents=True)
    with (logs / "gateway.access.log").open("w") as file:
        for record in traffic(60.0, "seed", change=during(40, 50, 1.0, 503)):
            row = json.loads(record.text) | {"monotonic_s": round(record.at_s - BEGIN_S + host_s, 3)}
            file.write(json.dumps(row) + "\n")
    (folder.stack / "primary.err.log").write_text(f"{host_s + 45:.3f} error {HOSTILE}\n{host_s + 46:.3f} {HOSTILE}\n")
    after = judge_folder(folder)
    found = after.log_evidence
    assert found is not None
    assert any(mark.begin_s <= 40 and mark.end_s >= 50 for mark in found.marks)
    assert [hit.rule for hit in found.hits] == ["a hostile </td><script> rule"]
    assert (after.outcome, after.findings, after.reason) == (before.outcome, before.findings, before.reason)
    assert replace(after, log_evidence=None, logs=(), marks=()) == replace(before, logs=(), marks=())
    page = Page((folder.path / "report.html").read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in page.tags}
    assert "a hostile </td><script> rule" in page.text
