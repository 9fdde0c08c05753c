"""Credentials never reach a log, and the same complaint does not fill one."""

from __future__ import annotations

import logging

import pytest
from aiohttp.http_exceptions import BadHttpMessage

from target_service.observability.redaction import FloodFilter, Redaction


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cret",
        "headers={'authorization': 'Basic s3cret'}",
        "('Cookie', 'id=s3cret')",
        "x-fault-token = s3cret",
        "refused bearer s3cret, twice",
        "the token is known5ecret",
    ],
)
def test_what_a_credential_header_carries_is_hidden_wherever_it_is_quoted(text: str) -> None:
    cleaned = Redaction(["known5ecret"]).clean(text)
    assert "s3cret" not in cleaned
    assert "known5ecret" not in cleaned
    assert "[hidden]" in cleaned


def test_other_words_stay() -> None:
    text = "the queue is full (64 requests wait); request 7 took 5.1 s"
    assert Redaction(["", "x"][:1]).clean(text) == text


def test_a_request_that_is_no_http_is_named_and_not_repeated() -> None:
    try:
        raise BadHttpMessage("Invalid header value: b's3cret'")
    except BadHttpMessage as error:
        record = logging.makeLogRecord({"msg": "Error handling request", "exc_info": (type(error), error, None)})
    assert Redaction().filter(record)
    shown = Redaction().around(logging.Formatter("%(levelname)s %(message)s")).format(record)
    assert shown == "WARNING a request that is no HTTP was refused: BadHttpMessage"


def test_a_flood_is_cut_short_counted_and_told_of_once() -> None:
    now_s = 0.0
    flood = FloodFilter(lines=3, per_s=10.0, clock=lambda: now_s)
    passed = [flood.filter(logging.makeLogRecord({"msg": "no descriptors", "lineno": 1})) for _ in range(10)]
    assert (sum(passed), flood.suppressed_total) == (3, 7)
    assert flood.filter(logging.makeLogRecord({"msg": "another", "lineno": 2}))
    now_s = 11.0
    record = logging.makeLogRecord({"msg": "no descriptors", "lineno": 1})
    assert flood.filter(record)
    assert record.getMessage() == "no descriptors (and 7 like it before)"
