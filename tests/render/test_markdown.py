"""The verdict as a comment on a pull request."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.model.verdict import Verdict
from harness.render.markdown import to_markdown

Verdicts = dict[str, Callable[[], Verdict]]


@pytest.mark.parametrize("name", ["pass", "fail", "inconclusive", "empty"])
def test_the_file_is_the_golden_one(name: str, verdicts: Verdicts, golden: Callable[[str, str], None]) -> None:
    golden(f"report-{name}.md", to_markdown(verdicts[name]()))


def test_fifty_episodes_are_cut_to_the_worst_and_it_says_so(verdicts: Verdicts) -> None:
    text = to_markdown(verdicts["large"]())
    assert "The worst 12 of 50" in text
    assert len(text) < 8000


def test_hostile_text_is_neither_markup_nor_a_new_row_nor_a_link(verdicts: Verdicts) -> None:
    text = to_markdown(verdicts["hostile"]())
    rendered = [line for line in text.splitlines() if "alert" in line and not line.startswith(("Replay", "run "))]
    assert rendered
    for line in rendered:
        assert "<script>" not in line.replace(r"\<script\>", "")
        assert "https:" not in line
        if line.startswith("|"):
            assert line.replace(r"\|", "").count("|") in (4, 9)


def test_a_code_span_cannot_be_closed_by_its_own_text(verdicts: Verdicts) -> None:
    line = next(line for line in to_markdown(verdicts["hostile"]()).splitlines() if line.startswith("Replay"))
    assert line.startswith("Replay: `` ")
    assert line.endswith(" ``")
