"""Every number of every fault is weaker when less, or when more, or it is said why it is neither."""

from __future__ import annotations

import pytest

from harness.campaign.weaker import NO_DIRECTION, WEAKER_WHEN_LESS, WEAKER_WHEN_MORE, is_in
from harness.model.faults import FAULTS
from harness.plan.parse import json_schema

TABLES = (WEAKER_WHEN_LESS, WEAKER_WHEN_MORE, NO_DIRECTION)


def numbers(kind: str) -> list[str]:
    """Fields that hold a number, or a number or nothing."""
    properties = json_schema()["$defs"][kind]["properties"]
    types = {name: [one.get("type") for one in how.get("anyOf", [how])] for name, how in properties.items()}
    return [name for name, found in types.items() if {"integer", "number"} & set(found)]


@pytest.mark.parametrize("kind", FAULTS)
def test_each_number_is_in_exactly_one_table(kind: str) -> None:
    assert {name: sum(is_in(table, kind, name) for table in TABLES) for name in numbers(kind)} == dict.fromkeys(
        numbers(kind), 1
    ), "harness/campaign/weaker.py: say which way it is weaker, or why it has no direction"


@pytest.mark.parametrize("table", TABLES)
def test_the_tables_name_nothing_that_is_not_there(table: frozenset[str]) -> None:
    names = {name for kind in FAULTS for one in numbers(kind) for name in (one, f"{kind}.{one}")}
    assert set(table) <= names


def test_what_has_no_direction_has_a_reason() -> None:
    assert all(NO_DIRECTION.values())
