from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Eventually = Callable[..., Any]
process_test = pytest.mark.process


@process_test
def test_a_flipped_byte_is_seen_in_the_memory_of_the_process_that_maps_the_file(
    make_stack: Callable[..., Any],
) -> None:
    running = make_stack(environment={"STUB_MMAP": "1"}).up_and_ready()
    pid = running.stack.process("primary").pid
    before = running.stack.held_weights("primary")
    assert (before.altered, before.source) == (False, f"memory of process {pid}, mapped file")
    with (running.stack.model_folder("primary") / "model.safetensors").open("r+b") as file:
        file.write(b"\xff")
    assert running.stack.held_weights("primary").altered is True
    assert running.stack.held_weights("standby").altered is False


@process_test
def test_weights_that_are_not_mapped_are_compared_by_their_digest(
    make_stack: Callable[..., Any], eventually: Eventually
) -> None:
    running = make_stack().up_and_ready()
    assert running.stack.held_weights("primary").source == "GET /weights"
    with (running.stack.model_folder("primary") / "model.safetensors").open("r+b") as file:
        file.write(b"\xff")
    assert running.stack.held_weights("primary").altered is False  # it holds what it read at its start
    running.stack.signal(running.stack.process("primary"), "SIGKILL")
    eventually(lambda: running.stack.held_weights("primary").altered)
