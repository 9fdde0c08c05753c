"""The verdict as one page."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.render.parsed import Page

Pages = Callable[[str], str]


@pytest.mark.whole
def test_every_sample_is_a_well_formed_page_below_two_megabytes(page: str) -> None:
    text = page
    assert Page(text).open == []
    assert len(text.encode()) < 2_000_000


def test_the_order_of_the_page_is_verdict_recovery_time_limits_then_the_details(pages: Pages) -> None:
    assert Page(pages("fail")).headings == [
        "kill-primary", "What to fix", "How users got their service back", "What users saw over time",
        "How long good requests took", "Error budget", "What this data cannot show",
        "Episodes", "Findings", "What the target's logs say", "Phases",
        "Estimates", "Accounting", "Replay", "Recompute it yourself",
    ]  # fmt: skip


def test_the_first_screen_says_the_verdict_in_a_word_its_reason_and_what_users_lost(pages: Pages) -> None:
    text = Page(pages("fail")).text
    for fact in (
        "✕ fail", "Episode 1 recovered after 6.3–6.4 s", "127 of 2,408", "84 refused or reset",
        "among 802 checked answers",
        "94.73 %", "episode 1 of 2", "not estimable", "needs at least 5 episodes", "1611, 1630, 1644", "40.82 %",
        "harness run scenarios/kill-primary.yaml --seed 7f3a", "92.89 % to 93.12 %", "incarnations 2, received 2,322",
    ):  # fmt: skip
        assert fact in text, fact


def test_an_unproven_fault_that_never_healed_is_said_in_words(pages: Pages) -> None:
    text = Page(pages("inconclusive")).text
    for fact in (
        "? inconclusive",
        "≥ 12.0 s",
        "not recovered by the end",
        "✕ not proven:",
        "no request reached the faulted",
    ):
        assert fact in text, fact


def test_a_stage_that_was_not_seen_is_never_shown_as_a_number(pages: Pages) -> None:
    text = Page(pages("fail")).text
    assert "not observable: isolate, verify" in text


def test_a_run_without_requests_is_still_a_report(pages: Pages) -> None:
    text = Page(pages("empty")).text
    assert "No request was recorded" in text
    assert "The stack did not come up" in text


def test_hostile_text_stays_text(pages: Pages) -> None:
    parsed = Page(pages("hostile"))
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert '<script>alert("1")</script>' in parsed.text


def test_nothing_is_loaded_from_anywhere(page: str) -> None:
    text = page
    for tag, attributes in Page(text).tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_every_id_is_unique_and_every_reference_has_its_target(page: str) -> None:
    text = page
    tags = Page(text).tags
    ids = [attributes["id"] for _, attributes in tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r"url\(#([^)]*)\)", text))
    wanted |= {(attributes.get("href") or "")[1:] for _, attributes in tags if attributes.get("href")}
    for _, attributes in tags:
        wanted |= set((attributes.get("aria-labelledby") or "").split())
    assert wanted <= set(ids)


def test_a_screen_reader_finds_names_for_charts_and_tables(pages: Pages) -> None:
    tags = Page(pages("fail")).tags
    charts = [a for tag, a in tags if tag == "svg" and "chart" in (a.get("class") or "")]
    assert len(charts) == 12
    assert all(chart.get("role") == "img" and chart.get("aria-labelledby") for chart in charts)
    names = [tag for tag, _ in tags]
    assert names.count("caption") == names.count("table") - 4  # the four of evidence are named by their summary
    assert names.count("main") == names.count("h1") == 1


def test_colours_and_fonts_of_charts_are_those_of_the_page(pages: Pages) -> None:
    text = pages("fail")
    assert "#fe00" not in text
    assert "font-family: 'DejaVu" not in text
    for variable in set(re.findall(r"var\((--[a-z0-9_-]+)\)", text)):
        assert f"{variable}:" in text, variable


@pytest.mark.whole
def test_the_largest_report_takes_a_second_of_work_and_a_few_on_a_busy_machine() -> None:
    code = f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import conftest
        verdict = conftest.large()
        begin = time.process_time()
        conftest.to_html(verdict)
        print(time.process_time() - begin)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert float(done.stdout) <= 6


@pytest.mark.parametrize("name", ["pass", "fail", "inconclusive", "empty"])
def test_the_words_of_the_page_are_the_golden_ones(name: str, pages: Pages, golden: Callable[[str, str], None]) -> None:
    lines = (" ".join(word.split()) for word in Page(pages(name)).words)
    golden(f"report-{name}.html.txt", "\n".join(line for line in lines if line) + "\n")


def test_a_report_says_what_is_under_the_pointer_for_every_bin_and_every_stage(pages: Pages) -> None:
    parsed = Page(pages("fail"))
    assert "20 s to 21 s: 23 refused or reset" in parsed.text or "20 s to 21 s:" in parsed.text
    assert "restore: 1.6 s to 5.2 s" in parsed.text
    assert "baseline: 300 requests took 100 ms to 200 ms" in parsed.text


def test_every_chart_over_time_has_its_numbers_in_a_table(pages: Pages) -> None:
    text = pages("fail")
    table = text[text.index("The same as a table") :]
    assert table[: table.index("</table>")].count("<tr>") == 121


def test_advice_comes_right_after_the_verdict_and_a_pass_has_none(pages: Pages) -> None:
    assert "In episode 2, weights.corrupt on any: no detector fired." in Page(pages("fail")).text
    assert "What to fix" not in Page(pages("pass")).text
