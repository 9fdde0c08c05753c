"""What is under the pointer: every bin once, in columns that a pointer can find."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from harness.model.verdict import Verdict
from harness.render import charts
from harness.render.hover import LEAST_PX, groups
from tests.render.conftest import requests_series

WIDTH_PX = 966.0


def test_wide_bins_have_a_column_each_and_narrow_ones_share() -> None:
    assert list(groups([0, 5, 10, 15])) == [(0, 1), (1, 2), (2, 3)]
    assert list(groups([0, 1, 2, 3, 4, 5])) == [(0, 3), (3, 5)]
    assert list(groups([0.0])) == []


def test_a_thousand_bins_cost_no_more_columns_than_there_is_room_for_and_lose_no_request(
    verdicts: dict[str, Callable[[], Verdict]],
) -> None:
    series = requests_series(1000, 1.0, [100.0, 500.0], 40.0)
    drawn = charts.draw(replace(verdicts["fail"](), series=series))
    for svg in (drawn.requests, drawn.latency, drawn.budget):
        assert 100 < svg.count('class="at"') <= WIDTH_PX / LEAST_PX
    for name, words in (("ok", "good"), ("refused", "refused or reset")):
        shown = sum(int(n) for text in re.findall(r"<text[^>]*>([^<]*)</text></g>", drawn.requests)
                    for n in re.findall(rf"(\d+) {words}", text))  # fmt: skip
        assert shown == sum(series[name])
