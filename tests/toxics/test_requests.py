from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from harness.toxics.pieces import Piece
from harness.toxics.requests import Requests

PLAIN = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
BARE = b"GET /c HTTP/1.1\r\n\r\n"


def split_all(data: bytes, cuts: list[int]) -> list[Piece]:
    requests = Requests()
    bounds = [0, *sorted(cuts), len(data)]
    found: list[Piece] = []
    for begin, end in pairwise(bounds):
        if begin < end:
            found += requests.split(Piece(data[begin:end], 0.0))
    return found


@given(
    st.lists(st.sampled_from([PLAIN, CHUNKED, BARE]), min_size=1, max_size=5),
    st.lists(st.integers(0, 300), max_size=6),
)
def test_however_the_bytes_come_each_request_begins_and_ends_once(requests: list[bytes], cuts: list[int]) -> None:
    data = b"".join(requests)
    pieces = split_all(data, [min(cut, len(data)) for cut in cuts])
    assert b"".join(bytes(piece.data) for piece in pieces) == data
    # a read of less than a method's letters is not recognised as a beginning; whole requests always are
    if not cuts:
        assert [piece.first for piece in pieces] == [True] * len(requests)
        assert [piece.last for piece in pieces] == [True] * len(requests)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes_pass_unchanged(parts: list[bytes]) -> None:
    requests = Requests()
    for part in parts:
        assert b"".join(bytes(piece.data) for piece in requests.split(Piece(part, 0.0))) == part
