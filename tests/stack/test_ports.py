from __future__ import annotations

import socket
from pathlib import Path

import pytest

from harness.stack.ports import HeldPorts, candidates, ephemeral_range


def test_held_ports_differ_and_cannot_be_taken_until_they_are_released() -> None:
    held = HeldPorts(4)
    assert len(set(held.ports)) == 4
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", held.ports[0]))
    held.release()
    held.release()
    with socket.socket() as server:
        server.bind(("127.0.0.1", held.ports[0]))
    held.forget()


def test_ports_of_a_stack_that_lives_are_not_chosen_for_another_though_its_servers_are_down() -> None:
    first = HeldPorts(3)
    first.release()
    second = HeldPorts(3)
    assert not set(first.ports) & set(second.ports)
    for held in (first, second):
        held.forget()
        held.forget()
    third = HeldPorts(3)
    assert set(third.ports) & set(first.ports)
    third.forget()


def test_ports_to_avoid_are_not_chosen_again() -> None:
    first = HeldPorts(3)
    first.forget()
    second = HeldPorts(3, avoid=first.ports)
    second.forget()
    assert not set(first.ports) & set(second.ports)


def test_no_candidate_can_become_the_end_of_an_outgoing_connection() -> None:
    ports = list(candidates((32_768, 60_999), 77))
    assert len(ports) == 500
    assert all(20_000 <= port < 32_768 for port in ports)


def test_the_kernel_draws_from_everywhere_so_there_are_no_candidates() -> None:
    assert list(candidates((1024, 65_535), 1)) == []


def test_an_unreadable_range_is_taken_for_the_usual_one(tmp_path: Path) -> None:
    assert ephemeral_range(tmp_path / "absent") == (32_768, 60_999)
