"""A scenario as the text of a file."""

from __future__ import annotations

import dataclasses

from harness.plan.parse import parse_scenario
from harness.plan.write import scenario_text

TEXT = """# If the primary dies, nobody notices.
name: one
observe: {lost_requests: {max: 0}}
faults: [{kind: process.kill}]
"""


def test_a_hypothesis_of_several_lines_is_one_line_of_the_file() -> None:
    one = parse_scenario(TEXT, "one.yaml")
    several = dataclasses.replace(one, hypothesis="If the primary dies,\n    nobody\tnotices.\n")
    again = parse_scenario(scenario_text(several), "one.yaml")
    assert dataclasses.replace(again, lines=one.lines) == one
    assert scenario_text(several).splitlines()[0] == "# If the primary dies, nobody notices."
