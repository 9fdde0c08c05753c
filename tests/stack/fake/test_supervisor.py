"""Who restarts is played on the fake stack as on real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.model.event import Event
from tests.fake_run import HEAD, history_of, verdict_of

pytestmark = pytest.mark.whole

KILL = "faults: [{kind: process.kill, on: primary}]\n"
STOP = "faults: [{kind: process.stop, on: primary}]\n"
LOOP = "faults: [{kind: weights.missing, on: primary, restart_after_s: 1, for_s: 60}]\n"
HANG = "faults: [{kind: process.pause, on: primary, for_s: 30}]\n"
LONG = HEAD.replace("recovery_s: 10", "recovery_s: 40").replace("rate_per_s: 20", "rate_per_s: 5")


def decisions(folder: Path, text: str) -> list[Event]:
    """What the target did after its fault, beats and readiness left out."""
    quiet = ("beat_missed", "isolated", "ready_green", "readmitted")
    events = history_of(folder, text, head=LONG).events
    return [e for e in events if e.kind.startswith("target.") and e.kind.removeprefix("target.") not in quiet]


def kinds(folder: Path, text: str) -> list[str]:
    return [event.kind.removeprefix("target.") for event in decisions(folder, text)]


def of(supervisor: str, **options: float) -> str:
    shown = ", ".join(f"{name}: {value}" for name, value in options.items())
    return f"target: {{supervisor: {supervisor}, supervision: {{{shown}}}}}\n"


def test_by_default_a_clean_end_that_nobody_asked_for_is_restarted(tmp_path: Path) -> None:
    assert kinds(tmp_path, STOP) == ["exited", "restarting", "started"]


def test_a_fragile_target_takes_a_clean_end_for_a_success_and_stays_down(tmp_path: Path) -> None:
    assert kinds(tmp_path, "target: {protection: fragile}\n" + STOP) == ["exited", "not_restarted"]


def test_a_fragile_target_restarts_a_crash(tmp_path: Path) -> None:
    assert kinds(tmp_path, "target: {protection: fragile}\n" + KILL) == ["exited", "started"]


def test_never_is_never(tmp_path: Path) -> None:
    assert kinds(tmp_path, of("never") + KILL) == ["exited", "not_restarted"]


def test_a_crash_loop_is_given_up_by_the_budget_and_goes_on_for_ever_under_always(tmp_path: Path) -> None:
    given_up = decisions(tmp_path / "budget", of("budget", max_restarts=3) + LOOP)
    (last,) = [event for event in given_up if event.kind == "target.given_up"]
    assert last.fields["restarts"] == 3
    assert [event.kind for event in given_up].count("target.backing_off") == 2
    always = kinds(tmp_path / "always", of("always") + LOOP)
    assert "given_up" not in always
    assert always.count("started") > 10


def test_the_verdict_says_what_the_supervisor_did(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, of("budget", max_restarts=3) + LOOP + "observe: {restarts: {max: 3}}\n", head=LONG)
    (episode,) = verdict.episodes
    assert episode.restarts == 3
    assert episode.supervision.startswith("primary: restarted 3 times, backed off ")
    assert episode.supervision.endswith(", then given up")
    (finding,) = [one for one in verdict.findings if one.check == "observe.restarts"]
    assert finding.outcome == "pass"


def test_the_cron_script_finds_a_dead_server_at_its_next_pass(tmp_path: Path) -> None:
    seen = decisions(tmp_path, of("cron-script", period_s=7) + KILL)
    assert [event.kind for event in seen] == ["target.exited", "target.restarting", "target.started"]
    assert seen[1].at_s % 7 == pytest.approx(0, abs=0.1)
    assert seen[2].at_s == pytest.approx(seen[1].at_s + 3 + 3, abs=0.1)


def test_the_cron_script_never_restarts_a_server_that_hangs(tmp_path: Path) -> None:
    seen = decisions(tmp_path, of("cron-script", period_s=7) + HANG)
    assert {event.kind for event in seen} == {"target.check_hangs"}
    assert len(seen) >= 3
    assert [event.fields["checks"] for event in seen] == list(range(1, len(seen) + 1))


def test_liveness_kills_and_restarts_a_server_that_hangs(tmp_path: Path) -> None:
    seen = kinds(tmp_path, of("budget", liveness_period_s=1) + HANG)
    assert seen == ["unhealthy", "exited", "restarting", "started"]


def test_without_liveness_a_server_that_hangs_stays(tmp_path: Path) -> None:
    assert kinds(tmp_path, of("budget") + HANG) == []


def test_the_retry_script_gives_up_after_three_and_begins_anew_at_its_next_pass(tmp_path: Path) -> None:
    seen = kinds(tmp_path, of("retry-script", period_s=20) + LOOP)
    first = seen[seen.index("restarting") : seen.index("recovery_failed") + 1]
    ordered = [kind for kind in first if kind not in ("exited", "started")]
    assert ordered == ["restarting"] * 3 + ["recovery_failed"]
    assert "restarting" in seen[seen.index("recovery_failed") :]


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("{supervision: {clean_orphans: false}}", r"clean_orphans: the fake stack has no processes, files or ports"),
        ("{supervisor: cron-script, supervision: {period_s: 5}}", r"period_s: .* make it at least 6"),
    ],
)
def test_what_the_script_cannot_play_is_refused_in_a_sentence(tmp_path: Path, target: str, sentence: str) -> None:
    with pytest.raises(StackError, match=sentence):
        history_of(tmp_path, f"target: {target}\n" + KILL)


@pytest.mark.parametrize(("supervisor", "outcome"), [("budget", "pass"), ("unexpected", "fail"), ("never", "fail")])
def test_a_scenario_can_ask_that_a_clean_end_is_restarted(tmp_path: Path, supervisor: str, outcome: str) -> None:
    text = f"target: {{supervisor: {supervisor}}}\n{STOP}observe: {{restarts: {{min: 1}}}}\n"
    (finding,) = [one for one in verdict_of(tmp_path, text).findings if one.check == "observe.restarts"]
    assert finding.outcome == outcome
