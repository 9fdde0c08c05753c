"""Each protection on and off over real sockets: breaker, ejection, rate limit, golden answers."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest

from tests.target_service.gateway.stub_replicas import gateway_before, pair

pytestmark = pytest.mark.process

ON_PRIMARY, ON_STANDBY = (500, "primary"), (200, "standby")


@pytest.mark.parametrize(
    ("failures_max", "expected"), [(0, [ON_PRIMARY] * 5), (3, [ON_PRIMARY] * 3 + [ON_STANDBY] * 2)]
)
async def test_a_breaker_keeps_users_away_from_a_replica_that_answers_500(
    failures_max: int, expected: list[tuple[int, str]], tmp_path: Path
) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=failures_max) as stack:
        stack.stubs["primary"].status, stack.stubs["primary"].headers = 500, {}
        assert await stack.served(5) == expected
        assert ("breaker_opened" in await stack.kinds("primary")) is (failures_max > 0)
        async with stack.client.get(stack.gateway.make_url("/metrics")) as response:
            assert ('gateway_breaker{replica="primary"} 2.0' in await response.text()) is (failures_max > 0)


async def test_a_half_open_breaker_brings_a_healed_replica_back(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=1, breaker_open_s=0.2) as stack:
        primary = stack.stubs["primary"]
        primary.status, primary.headers = 500, {}
        assert await stack.served(2) == [ON_PRIMARY, ON_STANDBY]
        primary.status = 200
        async with asyncio.timeout(10):
            while (await stack.served(1))[0] != (200, "primary"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await stack.kinds("primary"))[-3:] == ["breaker_opened", "breaker_half_open", "breaker_closed"]


@pytest.mark.parametrize("status", [400, 429, 503])
async def test_refusals_in_good_order_never_open_a_breaker_nor_eject(status: int, tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=2, eject_failures=2, retry_share=1.0) as stack:
        stack.stubs["primary"].status = status
        assert await stack.served(6) == [(status, "primary")] * 6
        assert (await stack.get("/gateway/state"))["retries_total"] == 0


async def test_errors_that_a_replica_itself_answers_are_not_counted_as_answered(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path) as stack:
        primary, retry_after = stack.stubs["primary"], {"Retry-After": "1"}
        for status, headers in ((200, {}), (500, {}), (503, {}), (503, retry_after), (429, retry_after), (404, {})):
            primary.status, primary.headers = status, headers
            assert await stack.served(1) == [(status, "primary")]
        counted = {"answered": 1, "upstream_error": 2, "upstream_shed": 2, "invalid": 1}
        state = await stack.get("/gateway/state")
        assert (state["outcomes"], state["answered_total"]) == (counted, 1)
        async with stack.client.get(stack.gateway.make_url("/metrics")) as response:
            said = await response.text()
        assert 'gateway_requests_total{outcome="upstream_error",traffic="user"} 2.0' in said


async def test_a_stream_without_its_end_is_no_answer_though_its_status_is_200_and_its_replica_failed(
    tmp_path: Path,
) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=2) as stack:
        primary = stack.stubs["primary"]
        primary.release.set()
        for mode in ("stream", "short"):
            primary.mode = mode
            async with stack.chat(stream=True) as response:
                assert response.status == 200
                assert b"data: one" in await response.read()
        state = await stack.get("/gateway/state")
        assert state["outcomes"] == {"answered": 1, "upstream_incomplete": 1}
        assert state["replicas"]["primary"]["breaker"]["failures"] == 1


async def test_a_stream_that_falls_silent_is_broken_off_and_its_replica_failed(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=2, stream_stall_s=0.2) as stack:
        stack.stubs["primary"].mode = "stream"
        begin_s = time.monotonic()
        with pytest.raises(aiohttp.ClientPayloadError):
            async with stack.chat(stream=True) as response:
                await response.read()
        assert time.monotonic() - begin_s < 2, "the request's own time is 3 s"
        state = await stack.until(lambda state: state["outcomes"])
        assert state["outcomes"] == {"try_timeout_mid_body": 1}
        assert state["replicas"]["primary"]["breaker"]["failures"] == 1


async def test_a_stream_that_goes_on_may_take_longer_than_its_longest_silence(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, stream_stall_s=0.5) as stack:
        stack.stubs["primary"].mode = "steady"
        async with stack.chat(stream=True) as response:
            assert (await response.read()).endswith(b"data: [DONE]\n\n")


async def test_a_replica_that_says_it_is_not_ready_is_isolated_and_another_one_asked_at_no_cost(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path) as stack:
        primary = stack.stubs["primary"]
        primary.ready, primary.status = False, 503
        primary.headers = {"Retry-After": "1", "X-Not-Ready": "1"}
        assert await stack.served(3) == [(200, "standby")] * 3
        assert primary.users_asked <= 1, "it is not asked again"
        assert "isolated" in await stack.kinds("primary")


async def test_when_nobody_is_ready_the_user_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path) as stack:
        for stub in stack.stubs.values():
            stub.ready, stub.status, stub.headers = False, 503, {"Retry-After": "1", "X-Not-Ready": "1"}
        async with stack.chat() as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
            assert (await response.json())["error"]["code"] == "no_replica"


async def test_a_gateway_that_verifies_nobody_passes_on_that_a_replica_is_not_ready(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, golden_prompts=0, beat_s=60.0) as stack:
        primary = stack.stubs["primary"]
        primary.status, primary.headers = 503, {"Retry-After": "1", "X-Not-Ready": "1"}
        assert await stack.served(2) == [(503, "primary")] * 2


async def test_golden_answers_may_have_to_come_as_whole_streams(tmp_path: Path) -> None:
    stubs = pair()
    stubs["primary"].golden_ends = False
    stubs["primary"].ready = False
    async with gateway_before(stubs, tmp_path, golden_streams=True) as stack:
        stubs["primary"].ready = True
        await stack.until(lambda _: stubs["primary"].golden_asked > 1)
        assert "readmitted" not in await stack.kinds("primary")
        stubs["primary"].golden_ends = True
        await stack.until(lambda state: state["replicas"]["primary"]["admitted"])


async def test_golden_answers_that_come_too_late_readmit_nobody(tmp_path: Path) -> None:
    stubs = pair()
    stubs["primary"].golden_in_time = stubs["primary"].ready = False
    async with gateway_before(stubs, tmp_path, golden_timeout_s=0.05) as stack:
        stubs["primary"].ready = True
        await stack.until(lambda _: stubs["primary"].golden_asked > 1)
        assert "readmitted" not in await stack.kinds("primary")
        stubs["primary"].golden_in_time = True
        stubs["primary"].release.set()
        await stack.until(lambda state: state["replicas"]["primary"]["admitted"])


async def test_when_all_breakers_are_open_the_answer_says_when_to_come_back(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=1, breaker_open_s=60.0) as stack:
        for stub in stack.stubs.values():
            stub.status, stub.headers = 500, {}
        await stack.served(2)
        async with stack.chat() as response:
            assert response.status == 503
            assert 55 <= int(response.headers["Retry-After"]) <= 60
        assert (await stack.get("/gateway/state"))["outcomes"] == {"upstream_error": 2, "breaker_open": 1}


async def test_a_client_that_leaves_says_nothing_of_the_replica(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=1, eject_failures=1) as stack:
        stack.stubs["primary"].mode = "stream"
        async with stack.chat(stream=True) as response:
            await response.content.readuntil(b"\n\n")
            response.close()
        state = await stack.until(lambda s: s["replicas"]["primary"]["open_requests"] == 0)
        assert state["replicas"]["primary"]["breaker"]["failures"] == 0
        assert state["active"] == "primary"


@pytest.mark.parametrize(
    ("failures_max", "expected"), [(0, [ON_PRIMARY] * 5), (3, [ON_PRIMARY] * 3 + [ON_STANDBY] * 2)]
)
async def test_ejection_isolates_a_replica_that_fails_users_behind_green_beats(
    failures_max: int, expected: list[tuple[int, str]], tmp_path: Path
) -> None:
    async with gateway_before(pair(), tmp_path, eject_failures=failures_max) as stack:
        primary = stack.stubs["primary"]
        primary.status, primary.headers, primary.answer = 500, {}, "negative"
        assert await stack.served(5) == expected
        assert ("ejected" in await stack.kinds("primary")) is (failures_max > 0)
        primary.status, primary.answer = 200, "positive"
        await stack.until(lambda s: s["active"] == "primary")
        if failures_max:
            # Back only after golden answers.
            assert (await stack.kinds("primary"))[-2:] == ["readmitted", "active_changed"]


@pytest.mark.parametrize("per_s", [0.0, 0.001])
async def test_the_rate_limit_turns_users_away_after_a_burst_and_lets_probes_look(per_s: float, tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, rate_limit_per_s=per_s, rate_limit_burst=2) as stack:
        limited = [200, 200, 429, 429] if per_s else [200] * 4
        assert [status for status, _ in await stack.served(4)] == limited
        async with stack.chat(X_Probe="harness") as response:
            assert response.status == 200
        async with stack.chat() as response:
            assert ("Retry-After" in response.headers) is (per_s > 0)
        outcomes = (await stack.get("/gateway/state"))["outcomes"]
        assert outcomes.get("rate_limited", 0) == (3 if per_s else 0)


@pytest.mark.parametrize(("golden_prompts", "expected"), [(0, "primary"), (3, "standby")])
async def test_golden_answers_keep_a_replica_with_wrong_ones_out(
    golden_prompts: int, expected: str, tmp_path: Path
) -> None:
    async with gateway_before(pair(), tmp_path, golden_prompts=golden_prompts) as stack:
        primary = stack.stubs["primary"]
        primary.answer, primary.incarnation = "negative", "two"
        await stack.until(lambda s: s["replicas"]["primary"]["incarnation"] == "two")
        async with asyncio.timeout(10):
            # Its first three events are those of its first admission.
            while not {"readmitted", "golden_failed"} & set((await stack.kinds("primary"))[3:]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await stack.served(1))[0] == (200, expected)
        assert (primary.golden_asked > 0) is (golden_prompts > 0)


async def test_what_a_probe_finds_is_no_users_failure(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=1, eject_failures=1) as stack:
        stack.stubs["primary"].status = 500
        for _ in range(3):
            async with stack.chat(X_Probe="harness") as response:
                assert (response.status, response.headers["X-Served-By"]) == (500, "primary")
        assert (await stack.get("/gateway/state"))["replicas"]["primary"]["breaker"]["failures"] == 0


async def test_a_client_that_reads_too_slowly_says_nothing_of_the_replica(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=1, request_timeout_s=0.5) as stack:
        stack.stubs["primary"].mode = "flood"
        async with stack.chat(stream=True):
            state = await stack.until(lambda s: bool(s["outcomes"]))
        assert state["outcomes"] == {"timeout_mid_body": 1}
        assert state["replicas"]["primary"]["breaker"]["failures"] == 0


async def test_golden_answers_close_the_breaker_of_a_replica_that_restarted(tmp_path: Path) -> None:
    async with gateway_before(pair(), tmp_path, breaker_failures=1, breaker_open_s=60.0) as stack:
        primary = stack.stubs["primary"]
        primary.status, primary.headers = 500, {}
        assert await stack.served(2) == [ON_PRIMARY, ON_STANDBY]
        primary.status, primary.incarnation = 200, "two"
        await stack.until(lambda s: s["replicas"]["primary"]["breaker"]["state"] == "closed")
        assert await stack.served(1) == [(200, "primary")]
