"""Requests that go to the engine through files in shared memory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import pytest

from target_service.protocol.errors import RequestRejectedError
from target_service.replica import shared_requests
from target_service.replica.shared_requests import SharedRequests, taken

MESSAGE = ["submit", 7, {"messages": [{"role": "user", "content": "grüß"}]}, False]


def test_what_is_handed_over_can_be_taken_until_it_is_released_and_never_has_a_name(tmp_path: Path) -> None:
    shared = SharedRequests(tmp_path)
    kind, number, path = shared.hand_over(7, MESSAGE)
    assert (kind, number, list(tmp_path.iterdir())) == ("shared", 7, [])
    assert shared.bytes == os.stat(path).st_size > 0
    assert taken(7, path) == MESSAGE
    shared.release(7)
    shared.release(7)
    assert taken(7, path) is None
    assert shared.bytes == 0


def test_a_descriptor_that_was_used_again_is_not_taken_for_the_request_that_it_held_before(tmp_path: Path) -> None:
    shared = SharedRequests(tmp_path)
    first = shared.hand_over(7, MESSAGE)
    shared.clear()
    second = shared.hand_over(8, ["submit", 8, {}, False])
    assert second[2] == first[2], "the lowest number that is free"
    assert taken(7, first[2]) is None
    assert taken(8, second[2]) == ["submit", 8, {}, False]
    shared.clear()


def test_where_there_is_no_room_the_request_is_refused_with_the_place_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[IO[bytes]] = []

    class Full:
        def __init__(self, **_: Any) -> None:
            self.closed = False
            made.append(self)  # type: ignore[arg-type]

        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(shared_requests.tempfile, "TemporaryFile", Full)
    with pytest.raises(RequestRejectedError, match=r"finds no room in .*: No space left on device") as caught:
        SharedRequests(tmp_path).hand_over(7, MESSAGE)
    assert caught.value.status == 500
    assert [file.closed for file in made] == [True]
