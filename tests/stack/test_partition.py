"""Rules for packets: which of them a cut drops or refuses, and how its rules are known again."""

from __future__ import annotations

import pytest

from harness.stack.partition import Cut, carrying, rules

PORTS = {"primary": 9001, "standby": 9002}
SAID = ["-m", "comment", "--comment", "reliability-harness r1 m1"]


def made(cut: Cut) -> list[list[str]]:
    return rules(cut, "r1", PORTS)


TO, BACK = ["OUTPUT", "-p", "tcp", "--dport"], ["INPUT", "-p", "tcp", "--sport"]


@pytest.mark.parametrize(
    ("direction", "wanted"),
    [
        ("both", [[*TO, "9001", *SAID, "-j", "DROP"], [*BACK, "9001", *SAID, "-j", "DROP"]]),
        ("to_replica", [[*TO, "9001", *SAID, "-j", "DROP"]]),
        ("to_gateway", [[*BACK, "9001", *SAID, "-j", "DROP"]]),
    ],
)
def test_a_black_hole_swallows_what_is_sent_what_comes_back_or_both(direction: str, wanted: list[list[str]]) -> None:
    cut = Cut("m1", "drop", "gateway", ("primary",), direction)  # type: ignore[arg-type]
    assert made(cut) == wanted


def test_a_refused_connection_is_answered_by_a_reset_where_it_begins() -> None:
    assert made(Cut("m1", "refuse", "gateway", ("standby",))) == [
        [*TO, "9002", *SAID, "-j", "REJECT", "--reject-with", "tcp-reset"]
    ]


def test_a_cut_from_all_replicas_has_the_rules_of_each() -> None:
    assert len(made(Cut("m1", "drop", "gateway", ("primary", "standby")))) == 4


def test_names_are_lost_on_the_way_to_the_engines_name_server_alone() -> None:
    assert made(Cut("m1", "dns_drop")) == [["OUTPUT", "-d", "127.0.0.11", *SAID, "-j", "DROP"]]
    assert made(Cut("m1", "dns_refuse")) == [["OUTPUT", "-d", "127.0.0.11", *SAID, "-j", "REJECT"]]


def test_silence_leaves_a_server_alone_with_itself() -> None:
    assert made(Cut("m1", "silence", "primary")) == [
        ["OUTPUT", "!", "-o", "lo", *SAID, "-j", "DROP"],
        ["INPUT", "!", "-i", "lo", *SAID, "-j", "DROP"],
    ]


def test_a_disconnected_replica_needs_no_rule() -> None:
    assert made(Cut("m1", "disconnect", "gateway", ("primary",))) == []


def test_rules_of_another_run_or_of_another_cut_are_not_taken_for_its_own() -> None:
    listed = "\n".join(
        [
            "-P INPUT ACCEPT",
            '-A OUTPUT -p tcp -m comment --comment "reliability-harness r1 m1" -j DROP',
            '-A OUTPUT -p tcp -m comment --comment "reliability-harness r1 m11" -j DROP',
            '-A OUTPUT -p tcp -m comment --comment "reliability-harness r2 m1" -j DROP',
        ]
    )
    assert carrying(listed, "r1", "m1") == [listed.splitlines()[1]]
