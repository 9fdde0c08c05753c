"""What the servers used, in every report that people read; nothing where nobody looked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from harness.model.verdict import ResourceUse, Verdict
from harness.render.html import to_html
from harness.render.markdown import to_markdown
from harness.render.verdict_json import from_json, to_json

USED = ResourceUse("pri<b>mary", 412.4, 1234.5, 0.731, 64.0, 16.0, None, 3.25, 821.5, 1904.2)


@pytest.fixture
def verdict(verdicts: dict[str, Callable[[], Verdict]]) -> Verdict:
    return replace(verdicts["pass"](), resources=(USED,))


@pytest.mark.parametrize("render", [to_html, to_markdown])
def test_each_server_has_a_row_with_dashes_for_what_it_did_not_tell(
    verdict: Verdict, render: Callable[[Verdict], str]
) -> None:
    text = render(verdict)
    assert "What the servers used" in text
    assert "pri<b>mary" not in text
    for cell in ("412 MiB", "1,23", "822 MiB", "1,904 MiB", "0.73", "64", "16", "–", "3.25 s"):
        assert cell in text


@pytest.mark.parametrize("render", [to_html, to_markdown])
def test_a_run_that_nobody_watched_has_no_such_part(verdict: Verdict, render: Callable[[Verdict], str]) -> None:
    assert "What the servers used" not in render(replace(verdict, resources=()))


def test_it_survives_the_json(verdict: Verdict) -> None:
    assert from_json(to_json(verdict)).resources == (USED,)
