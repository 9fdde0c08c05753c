"""The sums: every thought counts its way to the answer."""

from __future__ import annotations

from target_service.data.sums import Sum, all_sums


def test_a_thought_counts_step_by_step_to_the_answer() -> None:
    task = Sum("minus", 12, 3)
    assert task.thought == "Start at 12: 1 leaves 11, 2 leaves 10, 3 leaves 9."
    assert task.answer == "The difference of 12 and 3 is 9."
    assert Sum("plus", 4, 2).text == "<think>Start at 4: 1 makes 5, 2 makes 6.</think>The sum of 4 and 2 is 6."


def test_a_tenth_of_all_sums_is_held_out_and_none_is_below_zero() -> None:
    every = all_sums()
    held_out = [each for each in every if each.held_out]
    assert 0.05 < len(held_out) / len(every) < 0.15
    assert {each.sign for each in held_out} == {"plus", "minus"}
    assert all(each.sign == "plus" or each.a >= each.b for each in every)
