"""Requests that go to the engine through files in shared memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from target_service.protocol.errors import RequestRejectedError
from target_service.replica import shared_requests
from target_service.replica.shared_requests import handed_over, taken

MESSAGE = ["submit", 7, {"messages": [{"role": "user", "content": "grüß"}]}, False]


def test_what_is_handed_over_is_taken_once_and_leaves_nothing(tmp_path: Path) -> None:
    kind, path = handed_over(MESSAGE, tmp_path)
    assert (kind, list(tmp_path.iterdir())) == ("shared", [Path(path)])
    assert taken(path) == MESSAGE
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        taken(path)


def test_where_there_is_no_room_the_request_is_refused_with_the_place_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shared_requests.json, "dump", full)
    with pytest.raises(RequestRejectedError, match=r"finds no room in .*: No space left on device") as caught:
        handed_over(MESSAGE, tmp_path)
    assert caught.value.status == 500
    assert list(tmp_path.iterdir()) == []
