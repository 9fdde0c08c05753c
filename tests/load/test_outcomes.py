"""Each outcome, produced once by a scripted target, as the real child writes it down."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from harness.model.plan import Arrivals
from harness.model.request import Outcome
from harness.record.request_log import Began, Sent, Stopped

from .conftest import Run, make_spec, run
from .scripted_server import DRIP_S, ScriptedServer

pytestmark = pytest.mark.process

EXPECTED: dict[str, tuple[Outcome, str | None]] = {
    "ok": (Outcome.OK, None),
    "wrong": (Outcome.WRONG_ANSWER, None),
    "busy": (Outcome.HTTP_ERROR, None),
    "busy_hang": (Outcome.HTTP_ERROR, None),
    "bad_json": (Outcome.TRUNCATED, "bad_json"),
    "error_json": (Outcome.TRUNCATED, "error_event"),
    "abort": (Outcome.TRUNCATED, "finish_reason=abort"),
    "closed": (Outcome.REFUSED, "closed"),
    "reset": (Outcome.REFUSED, "ConnectionResetError"),
    "cut_headers": (Outcome.TRUNCATED, "closed"),
    "cut_body": (Outcome.TRUNCATED, "HTTPParseError: Incomplete response."),
    "until_close": (Outcome.OK, None),
    "hang": (Outcome.TIMEOUT, None),
    "drip": (Outcome.DEADLINE_MISSED, None),
    "stream_ok": (Outcome.OK, None),
    "stream_slow": (Outcome.OK, None),
    "stream_wrong": (Outcome.WRONG_ANSWER, None),
    "stream_cut": (Outcome.TRUNCATED, "HTTPParseError: Incomplete response."),
    "stream_no_done": (Outcome.TRUNCATED, "no_done"),
    "stream_no_finish": (Outcome.TRUNCATED, "no_finish_reason"),
    "stream_no_content": (Outcome.WRONG_ANSWER, None),
    "stream_error_event": (Outcome.TRUNCATED, "error_event"),
    "stream_bad_event": (Outcome.TRUNCATED, "bad_event"),
    "stream_abort": (Outcome.TRUNCATED, "finish_reason=abort"),
}
SCRIPTS = list(EXPECTED)
DEADLINE_S = 3.0


@pytest.fixture(scope="module")
def finished(server: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("outcomes")
    spec = make_spec(server.url, folder, SCRIPTS, deadline_s=DEADLINE_S)
    control = Arrivals([0, 10_000, 20_000], [0, 0, 0], [0, 0, 0])
    return run(replace(spec, lanes={**spec.lanes, "control": control}), folder)


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_behaviour_of_the_target_has_its_outcome(finished: Run, script: str) -> None:
    record = finished.ended(SCRIPTS.index(script))
    assert (record.outcome, record.detail) == EXPECTED[script]


def test_every_arrival_is_accounted_for_and_the_end_is_orderly(finished: Run) -> None:
    assert finished.accounted() == list(range(len(SCRIPTS)))
    assert isinstance(finished.records[-1], Stopped)


def test_the_intent_to_send_comes_before_the_end_of_a_request(finished: Run) -> None:
    kinds = [
        type(r).__name__ for r in finished.records if getattr(r, "lane", "") == "user" and getattr(r, "index", -1) == 0
    ]
    assert kinds == ["Sent", "Done"]


def test_the_deadline_counts_from_the_scheduled_time_also_for_a_stream_that_drips(finished: Run) -> None:
    begin_us = next(r.begin_us for r in finished.records if isinstance(r, Began) and r.lane == "user")
    for script in ("hang", "drip"):
        index = SCRIPTS.index(script)
        late_us = finished.ended(index).done_us - begin_us - finished.spec.lanes["user"].scheduled_us[index]
        assert DEADLINE_S - 0.01 <= late_us * 1e-6 < DEADLINE_S + 3  # the target would go on for 30 s


def test_a_good_answer_has_its_numbers(finished: Run) -> None:
    record = finished.ended(SCRIPTS.index("ok"))
    assert (record.status, record.served_by, record.tokens, record.checked) == (200, "replica-0", 3, True)
    assert record.first_byte_us is not None
    assert record.sent_us <= record.first_byte_us <= record.done_us
    assert record.ttft_us is None
    assert record.gap_max_us is None


def test_a_stream_has_time_to_first_token_largest_gap_and_tokens(finished: Run) -> None:
    record = finished.ended(SCRIPTS.index("stream_slow"))
    assert record.tokens == 2
    assert record.checked
    assert record.ttft_us is not None
    assert record.gap_max_us is not None
    assert record.gap_max_us >= 0.5 * DRIP_S * 1e6
    assert record.done_us - record.sent_us >= record.ttft_us + record.gap_max_us


def test_no_byte_no_first_byte_time(finished: Run) -> None:
    assert finished.ended(SCRIPTS.index("hang")).first_byte_us is None
    assert finished.ended(SCRIPTS.index("drip")).first_byte_us is not None


def test_the_status_of_shed_load_is_kept(finished: Run) -> None:
    assert finished.ended(SCRIPTS.index("busy")).status == 429
    assert finished.ended(SCRIPTS.index("busy_hang")).status == 503


def test_the_control_lane_asks_the_echo_server(finished: Run) -> None:
    assert [finished.ended(i, "control").outcome for i in range(3)] == [Outcome.OK] * 3
    assert all(r.sent_us > 0 for r in finished.records if isinstance(r, Sent))


def test_each_request_has_its_own_id_and_salt(finished: Run, server: ScriptedServer) -> None:
    assert all(count == 1 for count in server.requests.values())
    assert f"r1-u-{len(SCRIPTS) - 1}" in server.requests
    salts = [body["cache_salt"] for body in server.bodies]
    assert len(set(salts)) == len(salts)


def test_a_closed_port_refuses(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    finished = run(make_spec(f"http://127.0.0.1:{port}", tmp_path, ["ok"] * 3), tmp_path)
    assert [(finished.ended(i).outcome, finished.ended(i).detail) for i in range(3)] == [
        (Outcome.REFUSED, "ConnectionRefusedError")
    ] * 3
