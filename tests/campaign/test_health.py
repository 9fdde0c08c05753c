"""The two-sided health score: its arithmetic, and a target that can be broken."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from harness.cli.main import call
from harness.model.health import Health, Looked, Span, health_of
from harness.render.health import health_lines, health_markdown
from harness.store.folder import RunFolder
from tests.render.parsed import Page

pytestmark = pytest.mark.whole

SPANS = [Span("busy", 0, 10), Span("hangs", 10, 20), Span("is dead", 20, 30), Span("answers wrongly", 30, 40)]


def looks(*red: tuple[float, float]) -> list[Looked]:
    """A look every half second, red within the given times."""
    times = [n / 2 for n in range(80)]
    return [Looked(at_s, at_s, not any(low <= at_s < high for low, high in red)) for at_s in times]


def test_a_probe_that_goes_red_at_once_and_only_then_scores_1() -> None:
    found = health_of("p", looks((10, 40)), SPANS)
    assert found.score == pytest.approx(1.0)
    assert found.detected_s == {"hangs": 0, "is dead": 0, "answers wrongly": 0}
    assert found.false_red == 0


def test_a_probe_that_is_always_green_tells_nothing_and_so_does_one_that_is_always_red() -> None:
    assert health_of("green", looks(), SPANS).score == 0
    assert health_of("red", looks((0, 40)), SPANS).score == 0


def test_late_detection_and_false_alarms_cost_what_they_take() -> None:
    # Hang seen at half of its time, death at once, wrong answers never: (0.5 + 1 + 0) / 3; 2 of 20 busy looks red.
    found = health_of("p", looks((0, 1), (15, 30)), SPANS)
    assert found.false_red == pytest.approx(0.1)
    assert found.score == pytest.approx(0.5 - 0.1)
    assert found.detected_s["answers wrongly"] is None


def test_a_probe_of_what_hangs_is_green_until_its_look_gives_up() -> None:
    hung = [Looked(9.5, 9.6, True), Looked(10.05, 11.05, False), Looked(11.1, 12.1, False)]
    assert health_of("p", hung, SPANS).detected_s == {"hangs": pytest.approx(1.05)}


def test_a_look_that_began_just_before_the_fault_and_comes_back_red_after_it_is_a_detection() -> None:
    hung = [Looked(9.9, 10.9, False), Looked(11.0, 12.0, False)]
    assert health_of("p", hung, SPANS).detected_s == {"hangs": pytest.approx(0.9)}


def test_a_look_that_is_known_to_be_red_only_when_the_fault_is_over_is_none() -> None:
    late = [Looked(15.0, 15.1, True), Looked(19.5, 20.5, False)]
    assert health_of("p", late, SPANS[:2]).detected_s == {"hangs": None}


def test_what_was_not_tested_gives_no_score_but_one_of_the_other_tests_that_says_so() -> None:
    # 2 of 20 busy looks red; hang seen at half of its time, death at once.
    found = health_of("p", looks((0, 1), (15, 30)), [*SPANS[:3], Span("answers wrongly", skipped="no such file")])
    assert found.score is None
    assert found.why_none == "not tested: answers wrongly"
    assert found.partial_score == pytest.approx(0.75 - 0.1) and found.made == ("hangs", "is dead")
    (line,) = (one for one in health_lines(Health("t", (found,), ())) if "busy" in one)
    assert line.endswith("; score 0.65, partial score of: hangs, is dead")
    said = health_markdown(Health("t", (found,), ()))
    assert (
        "| 0.65, partial score of: hangs, is dead (not tested: answers wrongly) |" in said
        and "A partial score is of the tests that" in said
    )


def test_a_whole_score_is_no_partial_one() -> None:
    found = health_of("p", looks((10, 40)), SPANS)
    assert found.partial_score is None
    said = health_markdown(Health("t", (found,), ()))
    assert "| 1.00 |" in said and "partial" not in said and "pecificity" not in said


def test_a_probe_that_was_only_watched_while_busy_has_its_specificity_and_nothing_that_looks_like_a_score() -> None:
    found = health_of("p", looks((0, 1)), SPANS[:1])
    assert (found.score, found.partial_score) == (None, None)
    assert found.specificity == pytest.approx(0.9)
    (line,) = (one for one in health_lines(Health("t", (found,), ())) if "busy" in one)
    assert line.endswith("; 90.00 %, specificity alone")
    assert "who is never red has 100 %" in health_markdown(Health("t", (found,), ()))


def test_a_probe_that_was_broken_and_never_watched_while_busy_has_no_number() -> None:
    found = health_of("p", looks((10, 40)), SPANS[1:])
    assert (found.score, found.partial_score, found.specificity) == (None, None, None)
    (line,) = (one for one in health_lines(Health("t", (found,), ())) if "busy" in one)
    assert line.endswith("; score –")


@pytest.mark.parametrize(("protection", "hang"), [("fragile", None), ("hardened", 6.0)])
def test_a_shallow_check_is_blind_to_a_hang_and_a_chat_is_not(
    tmp_path: Path, protection: str, hang: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["health", "--stack", "fake", "--protection", protection, "--out", str(tmp_path)]) == 0
    probes = {one["probe"]: one for one in json.loads((tmp_path / "health.json").read_text())["probes"]}
    seen = probes["GET /health"]["detected_s"]["hangs"]
    assert seen is None if hang is None else seen < hang
    assert probes["a chat"]["detected_s"]["hangs"] < 1
    assert probes["a chat"]["score"] > probes["GET /health"]["score"]
    assert "while busy: 0 % of" in capsys.readouterr().out
    assert "| probe | red after, when it hangs |" in (tmp_path / "health.md").read_text()


def the_run(folder: Path) -> Path:
    (only,) = (one for one in folder.iterdir() if one.is_dir())
    return only


def test_the_replay_command_repeats_the_plan_on_the_same_stack(tmp_path: Path) -> None:
    """Its words are quoted as a shell wants them."""
    first, second = tmp_path / "first", tmp_path / "second"
    asked = ["health", "--stack", "fake", "--protection", "fragile", "--seed", "two words"]
    assert call([*asked, "--out", str(first)]) == 0
    plan = RunFolder(the_run(first)).read_plan()
    words = shlex.split(plan.replay)
    assert words[0] == "harness" and {"fake", "fragile", "two words"} < set(words)
    assert call([*words[1:], "--out", str(second)]) == 0
    again = RunFolder(the_run(second)).read_plan()
    assert again.arrivals_sha256 == plan.arrivals_sha256 and again.replay == plan.replay


def test_the_run_keeps_its_score_and_its_reports_show_it_from_the_folder_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["health", "--stack", "fake", "--protection", "fragile", "--out", str(tmp_path)]) == 0
    folder = the_run(tmp_path)
    assert f"report    {folder / 'report.html'}" in capsys.readouterr().out
    kept = json.loads((folder / "health.json").read_text())
    assert kept == json.loads((tmp_path / "health.json").read_text())
    html = (folder / "report.html").read_text()
    page = Page(html)
    assert page.headings[:2] == ["health", "Health checks"]
    assert "✕ blind to a service that hangs or answers wrongly" in page.text
    assert "3 of 3 health checks stayed green through a fault; nothing is limited here" in page.text
    markdown = (folder / "report.md").read_text()
    assert "### Health checks" in markdown
    documented = (Path(__file__).parents[2] / "ARCHITECTURE.md").read_text()
    assert [one.name for one in folder.iterdir() if f"`{one.name}{'/' * one.is_dir()}`" not in documented] == []
    moved = tmp_path / "elsewhere"
    folder.rename(moved)
    for name in ("health.json", "health.md"):
        (tmp_path / name).unlink()
    assert call(["report", str(moved)]) == 0
    assert capsys.readouterr().out.strip() == markdown.strip()
    (moved / "verdict.json").unlink()
    assert call(["judge", str(moved)]) == 0
    assert (moved / "report.html").read_text() == html


@pytest.mark.parametrize(("ticks", "measured"), [(1, False), (1500, True)])
def test_an_interrupted_run_says_that_it_was_cut_off_and_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ticks: int, measured: bool
) -> None:
    asked = iter(range(1_000_000))
    monkeypatch.setattr("harness.interrupts.Interrupts.asked", lambda _: int(next(asked) >= ticks))
    assert call(["health", "--stack", "fake", "--out", str(tmp_path)]) == 3
    assert "cut off     interrupted by the user, after " in capsys.readouterr().out
    assert (tmp_path / "health.json").exists() == measured
    page = Page((the_run(tmp_path) / "report.html").read_text()).text
    assert "? inconclusive" in page and "Cut off: interrupted by the user, after" in page
    if measured:
        found = json.loads((tmp_path / "health.json").read_text())
        assert found["cut_off"].startswith("interrupted by the user")
        assert all(one["score"] is None for one in found["probes"])
        assert "is dead: the run was cut off before" in found["not_tested"]
        assert "**Cut off**" in (tmp_path / "health.md").read_text()
