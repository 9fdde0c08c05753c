"""What the probes are worth, in every report that people read: one number each, who is blind, what is not known."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.model.health import Health, ProbeHealth, Served
from harness.model.verdict import Verdict
from harness.render.health import health_lines, health_markdown
from harness.render.html import to_html
from harness.render.markdown import to_markdown
from harness.render.verdict_json import from_json, to_json
from tests.render.parsed import Page

HOSTILE = "<script>alert(1)</script>"
LASTED = {"hangs": 10.0, "is dead": 10.0, "answers wrongly": 10.0}
SEES = ProbeHealth("a chat", {"hangs": 0.14, "is dead": 0.06, "answers wrongly": 1.2}, LASTED, 0.0, 38, 0.95, "")
BLIND = ProbeHealth("GET /health", dict.fromkeys(LASTED), LASTED, 2 / 38, 1038, -0.05, "")
PARTIAL = ProbeHealth(
    "GET /ready", {"hangs": None}, {"hangs": 3.5}, None, 0, None, "not tested: is dead, answers wrongly, busy"
)
UNSEEN = ProbeHealth("GET /x", {}, {}, None, 0, None, "not tested: hangs, is dead, answers wrongly, busy")
PARTS = Health("fake, fragile", (SEES, BLIND, PARTIAL, UNSEEN), ("is dead: the run was cut off before",))
READERS: list[Callable[[Verdict], str]] = [
    lambda verdict: Page(to_html(verdict)).text,
    lambda verdict: to_markdown(verdict).replace("\\", ""),
]
each_reader = pytest.mark.parametrize("read", READERS, ids=["html", "markdown"])


@pytest.fixture
def verdict(verdicts: dict[str, Callable[[], Verdict]]) -> Verdict:
    return replace(verdicts["pass"](), health=PARTS)


@each_reader
def test_each_probe_has_one_number_its_times_and_its_false_alarms(
    verdict: Verdict, read: Callable[[Verdict], str]
) -> None:
    text = read(verdict)
    for fact in (
        "Health checks", "Of fake, fragile.", "0.95", "after 0.14 s", "after 60 ms", "after 1.2 s", "0 % of 38 looks",
        "-0.05", "never in 10.0 s", "5.26 % of 1,038 looks", "never in 3.5 s",
    ):  # fmt: skip
        assert fact in text, fact


@each_reader
def test_what_the_score_means_is_said(verdict: Verdict, read: Callable[[Verdict], str]) -> None:
    assert "Youden's J: 1 is perfect, 0 tells nothing" in read(verdict)


@each_reader
def test_a_probe_that_stayed_green_is_called_blind_in_words_and_marked_in_its_cells(
    verdict: Verdict, read: Callable[[Verdict], str]
) -> None:
    text = read(verdict)
    assert re.search(r"✕ (GET /health is )?blind to a service that hangs or is dead or answers wrongly", text)
    assert re.search(r"✕ (GET /ready is )?blind to a service that hangs\b(?! or)", text)
    assert text.count("✕ never in 10.0 s") == 3
    assert "✕ 5.26 % of 1,038 looks" in text
    assert "✕ 0 %" not in text and "✕ after" not in text


@each_reader
def test_a_probe_without_a_score_says_why_and_is_not_called_blind_for_what_was_not_tested(
    verdict: Verdict, read: Callable[[Verdict], str]
) -> None:
    text = read(replace(verdict, health=replace(PARTS, probes=(PARTIAL, UNSEEN))))
    assert "not tested: is dead, answers wrongly, busy" in text
    assert "not tested: hangs, is dead, answers wrongly, busy" in text
    assert "is dead: the run was cut off before" in text
    assert text.count("blind") == 1
    assert "0.00" not in text.partition("Health checks")[2].partition("Youden")[0]


@each_reader
def test_a_part_of_the_tests_and_the_specificity_alone_are_never_passed_off_as_the_score(
    verdict: Verdict, read: Callable[[Verdict], str]
) -> None:
    part = replace(PARTIAL, false_red=0.25, looks_busy=8, partial_score=-0.25, why_none="not tested: is dead")
    busy = replace(UNSEEN, false_red=0.1, looks_busy=20)
    text = read(replace(verdict, health=replace(PARTS, probes=(part, busy))))
    assert re.search(r"-0.25,? ?partial score of: hangs", text) and "A partial score is of the tests that" in text
    assert re.search(r"90.00 %,? ?specificity alone", text) and "who is never red has 100 %" in text
    whole = read(replace(verdict, health=replace(PARTS, probes=(SEES, UNSEEN))))
    assert "partial" not in whole and "pecificity" not in whole


@each_reader
def test_a_measurement_that_was_cut_off_says_so(verdict: Verdict, read: Callable[[Verdict], str]) -> None:
    cut = replace(PARTS, cut_off="interrupted by the user, after 61 s")
    assert re.search(r"Cut off[*:]* *:? interrupted by the user, after 61 s", read(replace(verdict, health=cut)))
    assert "Cut off" not in read(verdict)


@each_reader
def test_a_target_that_was_not_seen_to_come_back_is_warned_of(verdict: Verdict, read: Callable[[Verdict], str]) -> None:
    down = replace(PARTS, still_down="look whether llm comes back")
    assert re.search(r"Beware[*:]* *:? look whether llm comes back", read(replace(verdict, health=down)))
    assert "  beware      look whether llm comes back" in list(health_lines(down))
    assert "Beware" not in read(verdict)


@each_reader
def test_a_load_that_was_counted_is_said_and_one_that_nobody_answered_tested_nothing(
    verdict: Verdict, read: Callable[[Verdict], str]
) -> None:
    counted = replace(PARTS, load=Served(300, 4, 290, "HTTP 503"))
    assert "97.97 % of 296 requests answered, 4 more under way" in read(replace(verdict, health=counted))
    refused = read(replace(verdict, health=replace(PARTS, load=Served(9, 0, 0, "HTTP 429"))))
    assert "not tested (0 of 9 requests answered; the first said: HTTP 429)" in refused


@each_reader
def test_a_measurement_without_probes_is_no_empty_praise(verdict: Verdict, read: Callable[[Verdict], str]) -> None:
    text = read(replace(verdict, health=Health("fake", (), ("busy: no load",))))
    assert "Health checks" in text and "busy: no load" in text
    assert "blind" not in text


def test_everything_is_escaped_and_the_page_stays_whole(verdict: Verdict) -> None:
    probe = replace(PARTIAL, probe=HOSTILE, why_none=HOSTILE)
    hostile = replace(verdict, health=Health(HOSTILE, (probe,), (HOSTILE,), Served(3, 0, 1, HOSTILE), cut_off=HOSTILE))
    page = Page(to_html(hostile))
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.text.count(HOSTILE) == 6  # target, cut off, probe, why there is no score, load, what was not tested
    assert "<script" not in to_markdown(hostile).replace("\\<", "")
    assert "<script" not in health_markdown(hostile.health or PARTS).replace("\\<", "")


def test_on_a_phone_each_cell_names_its_column(verdict: Verdict) -> None:
    labels = [
        attrs["data-label"] for tag, attrs in Page(to_html(verdict)).tags if tag == "td" and "data-label" in attrs
    ]
    assert labels[:5] == [
        "Score", "Red after, when it hangs", "Red after, when it is dead", "Red after, when it answers wrongly",
        "Red while merely busy",
    ]  # fmt: skip
    assert len(labels) == 5 * len(PARTS.probes)


def test_a_run_that_measured_no_probes_has_neither_the_section_nor_its_styles(sample: Verdict) -> None:
    assert sample.health is None
    page = to_html(sample)
    assert "Health checks" not in page and ".probes" not in page and "data-label" not in page
    assert "Health checks" not in to_markdown(sample)
    assert "health" not in json.loads(to_json(sample))


@pytest.mark.parametrize("load", [None, Served(9, 1, 5, "HTTP 503")])
def test_it_survives_the_json(verdict: Verdict, load: Served | None) -> None:
    found = replace(PARTS, load=load, cut_off="interrupted")
    assert from_json(to_json(replace(verdict, health=found))).health == found
    assert from_json(to_json(replace(verdict, health=None))).health is None
