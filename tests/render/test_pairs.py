"""The table of control pairs, as a page and as Markdown."""

from __future__ import annotations

from dataclasses import replace

from harness.model.pairs import CatalogueClaim, HalfResult, PairResult, PairsReport, UsersLost, not_run
from harness.model.verdict import VerdictOutcome
from harness.render.pairs import pairs_html, pairs_markdown

FAIL, PASS = VerdictOutcome.FAIL, VerdictOutcome.PASS
SAID = "episode 1: 3 wrong answers reached users; none is allowed"
FRAGILE = HalfResult(
    "fragile", FAIL, SAID, True, "", 20.0, 40, 1200, 3, "harness run a.yaml", "/reports/a b-fragile/report.html"
)
HARDENED = HalfResult(
    "hardened", PASS, "every objective holds", True, "", 20.0, 1, 1300, 0, "", "/reports/h/report.html"
)
APART = PairResult("nan-weights", "a.yaml", "weights", "If weights are <NaN>, nobody sees it.", FRAGILE, HARDENED)
LAX = replace(FRAGILE, outcome=PASS, met=False, why="it passes without any protection")


def report(*pairs: PairResult) -> PairsReport:
    return PairsReport("local", "7", pairs, 60.0)


def test_a_row_says_what_went_wrong_for_whom_and_leads_to_both_reports() -> None:
    page = pairs_html(report(APART))
    assert SAID in page
    assert "If weights are &lt;NaN&gt;, nobody sees it." in page
    assert '<a href="a%20b-fragile/report.html">report</a>' in page
    assert '<a href="h/report.html">report</a>' in page
    assert "✓ yes" in page
    assert "every objective holds" not in page, "what passed needs no words"
    assert "What does not tell them apart" not in page


def test_what_users_lost_is_added_up_for_each_half() -> None:
    second = replace(APART, scenario="second", hardened=not_run("hardened", "it was not run"))
    found = report(APART, second)
    assert found.users_on("fragile") == UsersLost(80, 2400, 6)
    assert found.users_on("hardened") == UsersLost(1, 1300, 0), "who was not run lost nothing and served nobody"
    page = pairs_html(found)
    assert '80 <span class="of">of 2,400</span>' in page
    assert "6 wrong answers" in page


def test_a_pair_that_does_not_tell_them_apart_comes_first_with_why_and_how_to_repeat_it() -> None:
    page = pairs_html(report(APART, replace(APART, scenario="lax", fragile=LAX)))
    assert page.index("it passes without any protection") < page.index('id="g1"')
    assert "<code>harness run a.yaml</code>" in page
    assert "✕ no" in page


def test_a_half_without_a_verdict_has_its_reason_and_leads_nowhere() -> None:
    page = pairs_html(report(replace(APART, hardened=not_run("hardened", "the port was taken"))))
    assert "no verdict" in page
    assert "the port was taken" in page
    assert page.count(">report</a>") == 1


def test_claims_and_files_without_a_pair_are_listed() -> None:
    claim = CatalogueClaim("nan-weights", "success_rate", 0.004, True, False)
    found = replace(report(APART), claims=(claim,), without=("scenarios/odd.yaml",))
    for text in (pairs_html(found), pairs_markdown(found).replace("\\", "")):
        assert "0.004" in text
        assert "not shown" in text
        assert "scenarios/odd.yaml" in text


def test_markdown_says_what_went_wrong_on_fragile() -> None:
    assert f"| 40/1,200 | 1/1,300 | {SAID} |" in pairs_markdown(report(APART))
