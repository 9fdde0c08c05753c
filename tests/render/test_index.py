"""The archive as a page, and two runs as a page: whole, escaped, and true to their data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.analysis.trends import archive_of
from harness.model.archive import Archive, Comparison, Difference, LeftOut, RunSummary
from harness.model.verdict import Estimate, Interval, VerdictOutcome
from harness.render.comparison import to_comparison_html, to_comparison_markdown, to_comparison_text
from harness.render.index import to_index
from tests.render.parsed import Page

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)> \x00 \ud800 </style>'


def run(number: int, p50_s: float = 3.0, **changes: object) -> RunSummary:
    usual = RunSummary(
        folder=f"run-{number:02d}", group="", run_id=f"run-{number:02d}", scenario="kill-primary", stack="local",
        begun=f"2026-01-{number + 1:02d}T00:00:00+00:00", outcome=VerdictOutcome.PASS, reason="every objective holds",
        expect="pass", seed="7f3a", version="0.1.0", commit="abc", duration_s=60.0, lost=20, eligible=1000,
        wrong_answers=0, success_rate=0.98, episodes=5,
        recovery_s_p50=Estimate(p50_s, p50_s - 0.2, p50_s + 0.3, 0.95, "order statistics", 5),
        worst_recovery_s=Interval(p50_s, p50_s + 0.5),
    )  # fmt: skip
    return replace(usual, **changes)  # type: ignore[arg-type]


def archive() -> Archive:
    runs = [run(n, 3 + n % 3 * 0.01) for n in range(12)] + [run(n, 5 + n % 3 * 0.01) for n in range(12, 24)]
    night = run(25, scenario="hang-primary", group="night-1", folder="night-1/run-25", outcome=VerdictOutcome.FAIL)
    return archive_of([*runs, night], [LeftOut("broken", "verdict.json is damaged", "broken")])


def test_the_change_is_marked_where_it_is_and_said_in_words() -> None:
    made = archive()
    (trend,) = [one for one in made.trends if one.changes]
    assert [(change.quantity, change.at) for change in trend.changes] == [("recovery_s_p50", 12)]
    page = Page(to_index(made))
    assert "median recovery 3.0 s → 5.0 s" in page.text
    assert "since 2026-01-13 00:00" in page.text


def test_every_run_has_a_row_with_a_link_and_broken_folders_are_listed() -> None:
    page = Page(to_index(archive()))
    links = {attributes.get("href") for tag, attributes in page.tags if tag == "a"}
    assert {f"run-{n:02d}/report.html" for n in range(24)} | {"night-1/run-25/report.html"} <= links
    assert sum("row" in (attributes.get("class") or "").split() for tag, attributes in page.tags if tag == "tr") == 25
    assert "verdict.json is damaged" in page.text


def test_an_empty_archive_says_what_to_do() -> None:
    assert "harness run SCENARIO" in Page(to_index(archive_of([], []))).text


def test_an_inconclusive_run_is_listed_and_moves_no_level() -> None:
    runs = [run(n, 3.0) for n in range(12)]
    runs += [run(n, 9.0, outcome=VerdictOutcome.INCONCLUSIVE) for n in range(12, 24)]
    assert archive_of(runs, []).trends[0].changes == ()


@pytest.mark.parametrize(
    "name", ["scenario", "reason", "stack", "group", "seed", "commit", "begun", "run_id", "expect"]
)
def test_hostile_text_of_a_run_stays_text(name: str) -> None:
    page = Page(to_index(archive_of([run(1, **{name: HOSTILE})], [LeftOut(HOSTILE, HOSTILE, "broken")])))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert page.tags.count(("style", {})) == 1
    assert page.open == []


def comparison(says: Estimate = Estimate(0.5, 0.2, 0.8, 0.95, "Hodges-Lehmann", 20)) -> Comparison:  # noqa: B008
    rows = (Difference("recovery_s", 3.0, 3.5, says, "higher" if says.low is not None else "cannot tell"),)
    return Comparison(run(1), run(2, reason=HOSTILE), [("load.rate_per_s", "20", HOSTILE)], rows, HOSTILE, (HOSTILE,))


def test_a_comparison_says_the_difference_its_interval_and_what_the_data_says() -> None:
    for text in (
        to_comparison_text(comparison()),
        to_comparison_markdown(comparison()),
        to_comparison_html(comparison()),
    ):
        assert "+0.50 s" in text
        assert "+0.20 s to +0.80 s" in text
        assert "B is higher" in text


def test_what_the_data_cannot_tell_is_said_with_the_reason() -> None:
    none = Estimate(None, None, None, 0.95, "not estimable: 1 and 1 episodes", 2)
    assert "cannot tell: 1 and 1 episodes" in to_comparison_text(comparison(none))


def test_hostile_text_of_a_comparison_stays_text() -> None:
    page = Page(to_comparison_html(comparison()))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert "<script>" not in to_comparison_markdown(comparison())
