"""The sums: every thought counts its way to the answer."""

from __future__ import annotations

from target_service.data.sums import Sum, all_sums


def test_a_thought_counts_step_by_step_to_the_answer() -> None:
    task = Sum("minus", 12, 3)
    assert task.thought == "Start at twelve: one leaves eleven, two leaves ten, three leaves nine."
    assert task.answer == "The difference of twelve and three is nine."
    thought = "Start at four: one makes five, two makes six."
    assert Sum("plus", 4, 2).text == f"<think>{thought}</think>The sum of four and two is six."


def test_a_tenth_of_all_sums_is_held_out_and_none_is_below_zero() -> None:
    every = all_sums()
    held_out = [each for each in every if each.held_out]
    assert 0.05 < len(held_out) / len(every) < 0.15
    assert {each.sign for each in held_out} == {"plus", "minus"}
    assert all(each.sign == "plus" or each.a >= each.b for each in every)
