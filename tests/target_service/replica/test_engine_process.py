"""Server and engine as two processes, with a decoder that needs no network: what a death of either means to users."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from target_service.replica.memory import kept_bytes

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[3]
TOKEN = {"X-Fault-Token": "sesame"}
ENDLESS = {"messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 10**6, "ignore_eos": True}
WITHIN_S = 30


class Replica:
    """Both processes, and a client."""

    def __init__(self, *options: str, model: str = "m") -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        module = "tests.target_service.replica.counting_replica"
        command = [sys.executable, "-m", module, "--model", model, "--port", str(self.port), "--faults-token", "sesame"]
        self.process = subprocess.Popen([*command, *options], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        self.engines: set[int] = set()

    async def get(self, path: str) -> tuple[int, dict[str, Any]]:
        return await self.send("GET", path)

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as client:
            try:
                async with client.request(method, url, json=body, headers=TOKEN) as response:
                    return response.status, await response.json()
            except aiohttp.ClientConnectionError:
                return 0, {}

    async def ask(self, **more: Any) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        body = {"messages": [{"role": "user", "content": "hi"}]} | more
        async with aiohttp.ClientSession() as client, client.post(url, json=body) as response:
            return response.status, await response.text()

    async def ready(self) -> int:
        """Wait until it is; the engine's pid."""
        await until(self._is_ready)
        return await self.engine()

    async def _is_ready(self) -> bool:
        assert self.process.poll() is None, "the replica ended"
        return (await self.get("/ready"))[0] == 200

    async def engine(self) -> int:
        pid = (await self.get("/version"))[1]["engine_pid"]
        self.engines.add(pid)
        return int(pid)

    async def metric(self, name: str) -> float:
        url = f"http://127.0.0.1:{self.port}/metrics"
        async with aiohttp.ClientSession() as client, client.get(url) as response:
            rows = dict(row.rsplit(" ", 1) for row in (await response.text()).splitlines() if row[0] != "#")
        return float(rows[name])

    async def ended(self) -> tuple[int, str]:
        _, log = await asyncio.to_thread(self.process.communicate, timeout=WITHIN_S)
        return self.process.returncode, log


@asynccontextmanager
async def replica(*options: str, model: str = "m") -> AsyncIterator[Replica]:
    one = Replica(*options, model=model)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
        for pid in one.engines:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


async def until(condition: Callable[[], Any], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def maps_of(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


async def open_requests(one: Replica) -> list[asyncio.Task[tuple[int, str]]]:
    """A stream that has begun, and a request that waits for its whole answer."""
    asked = [asyncio.create_task(one.ask(**ENDLESS, stream=stream)) for stream in (True, False)]

    async def both_run() -> bool:
        return await one.metric("target_running") == 2

    await until(both_run)
    return asked


async def test_a_death_of_the_engine_fails_open_requests_at_once_and_ends_the_server_with_its_code() -> None:
    async with replica("--engine-death-exit-code", "71") as one:
        engine = await one.ready()
        assert alive(engine)
        assert engine != one.process.pid
        stream, whole = await open_requests(one)
        os.kill(engine, signal.SIGKILL)
        began_s = time.monotonic()
        (streamed, text), (status, body) = await asyncio.wait_for(asyncio.gather(stream, whole), 5)
        assert time.monotonic() - began_s < 2
        assert (status, json.loads(body)["error"]["code"]) == (503, "engine_gone")
        assert (streamed, "engine_gone" in text, "signal 9 (SIGKILL)" in text) == (200, True, True)
        code, log = await one.ended()
        assert code == 71
        assert "the engine has died: its process ended with signal 9 (SIGKILL)" in log


async def test_with_a_restart_the_server_is_not_ready_until_a_new_engine_is_proven() -> None:
    async with replica("--restart-engine", "on", "--slow-load-s", "0.5") as one:
        first = await one.ready()
        assert (await one.ask())[0] == 200
        answered = (await one.get("/counters"))[1]["answered"]
        tokens = await one.metric("target_generated_tokens_total")
        os.kill(first, signal.SIGABRT)

        async def refuses() -> bool:
            status, body = await one.get("/ready")
            return status == 503 and "signal 6 (SIGABRT)" in body["reason"]

        await until(refuses)
        assert (await one.get("/health"))[0] == 200
        status, body = await one.ask()
        assert (status, "not_ready" in body) == (503, True)
        second = await one.ready()
        assert second != first
        assert (await one.ask())[0] == 200
        assert (await one.get("/counters"))[1]["answered"] == answered + 1
        assert await one.metric("target_engine_starts_total") == 2
        assert await one.metric("target_generated_tokens_total") > tokens > 0


async def test_an_engine_that_dies_too_often_ends_the_server() -> None:
    async with replica("--restart-engine", "on", "--engine-restarts-max", "1") as one:
        first = await one.ready()
        os.kill(first, signal.SIGKILL)

        async def replaced() -> bool:
            return await one.engine() != first

        await until(replaced)
        os.kill(await one.ready(), signal.SIGKILL)
        code, log = await one.ended()
        assert code == 70
        assert "1 restarts within 60 s were in vain" in log


async def test_an_engine_that_exits_with_0_has_died_all_the_same() -> None:
    async with replica() as one:
        await one.ready()
        assert (await one.send("POST", "/faults/crash", {"where": "engine", "exit_code": 0}))[0] == 200
        code, log = await one.ended()
        assert code == 70
        assert "its process ended with exit status 0" in log


async def test_without_a_monitor_the_server_is_well_while_every_request_waits_for_ever() -> None:
    async with replica("--monitor-engine", "off") as one:
        engine = await one.ready()
        asked = [*await open_requests(one), asyncio.create_task(one.ask())]
        os.kill(engine, signal.SIGKILL)
        later = asyncio.create_task(one.ask())
        done, _ = await asyncio.wait([*asked, later], timeout=1)
        assert done <= {asked[2]}  # the short one may have been answered before
        assert not alive(engine)
        assert (await one.get("/health"))[0] == 200
        assert (await one.get("/ready"))[0] == 200
        for task in [*asked, later]:
            task.cancel()
        await asyncio.gather(*asked, later, return_exceptions=True)


async def test_deep_health_sees_the_death_that_nobody_monitors() -> None:
    deep = ("--health-mode", "deep", "--health-probe-s", "0.1", "--health-stall-s", "0.3")
    async with replica("--monitor-engine", "off", *deep) as one:
        os.kill(await one.ready(), signal.SIGKILL)

        async def unhealthy() -> bool:
            return (await one.get("/health"))[0] == 503

        await until(unhealthy)


async def test_a_stopped_engine_is_seen_by_deep_health_and_goes_on_when_it_is_continued() -> None:
    deep = ("--health-mode", "deep", "--health-probe-s", "0.1", "--health-stall-s", "0.3")
    async with replica(*deep) as one:
        await one.ready()
        assert (await one.send("POST", "/faults/kill_engine", {"signal": 19}))[1]["active"] == {
            "kill_engine": {"signal": 19}
        }

        async def unhealthy() -> bool:
            status, body = await one.get("/health")
            return status == 503 and "no progress" in body["reason"]

        await until(unhealthy)
        assert (await one.send("DELETE", "/faults/kill_engine"))[0] == 200
        await one.ready()
        assert (await one.ask())[0] == 200


@pytest.mark.parametrize("restart", ["off", "on"])
async def test_the_watchdog_ends_a_stopped_engine_and_with_it_the_server_unless_it_is_replaced(restart: str) -> None:
    async with replica("--watchdog-s", "0.5", "--restart-engine", restart) as one:
        engine = await one.ready()
        os.kill(engine, signal.SIGSTOP)
        status, _ = await asyncio.wait_for(one.ask(), 10) if restart == "on" else (503, "")
        assert status == 503
        if restart == "on":
            assert await one.ready() != engine
            assert (await one.ask())[0] == 200
        else:
            with suppress(aiohttp.ClientError):
                await asyncio.wait_for(one.ask(), 10)
            code, log = await one.ended()
            assert code == 70
            assert "made no step" in log
        assert not alive(engine)


async def test_a_hung_engine_writes_its_stacks_before_the_watchdog_ends_it() -> None:
    async with replica("--watchdog-s", "0.5") as one:
        engine = await one.ready()
        await one.send("POST", "/faults/hang")
        with suppress(aiohttp.ClientError):
            await asyncio.wait_for(one.ask(), 10)
        code, log = await one.ended()
        assert code == 70
        assert "before_round" in log
        assert not alive(engine)


@pytest.mark.parametrize("stopped", [False, True])
async def test_a_server_that_is_killed_leaves_no_engine_behind(*, stopped: bool) -> None:
    async with replica() as one:
        engine = await one.ready()
        if stopped:
            os.kill(engine, signal.SIGSTOP)
        one.process.kill()

        async def gone() -> bool:
            return not alive(engine)

        await until(gone, within_s=5)


async def test_an_orphan_outlives_its_server_and_ends_by_a_signal() -> None:
    async with replica("--orphan-engine", "on") as one:
        engine = await one.ready()
        open_ones = await open_requests(one)
        one.process.kill()
        one.process.wait()
        await asyncio.sleep(0.5)
        assert alive(engine)
        os.kill(engine, signal.SIGTERM)

        async def gone() -> bool:
            return not alive(engine)

        await until(gone, within_s=5)
        await asyncio.gather(*open_ones, return_exceptions=True)


@pytest.mark.parametrize("orphan", ["off", "on"])
async def test_a_server_that_ends_in_good_order_takes_its_engine_along(orphan: str) -> None:
    async with replica("--orphan-engine", orphan, "--drain-s", "0") as one:
        engine = await one.ready()
        asked = await open_requests(one)
        os.killpg(os.getpgid(one.process.pid), 0)
        for pid in (engine, one.process.pid):  # as a supervisor does that signals the whole group
            os.kill(pid, signal.SIGTERM)
        code, log = await one.ended()
        assert (code, "does not end" in log) == (0, False)
        assert not alive(engine)
        await asyncio.gather(*asked, return_exceptions=True)


async def test_a_request_under_way_is_finished_when_both_processes_get_a_sigterm() -> None:
    async with replica("--token-cost-ms", "20") as one:
        engine = await one.ready()
        asked = asyncio.create_task(one.ask(messages=[{"role": "user", "content": "twenty letters or so"}]))

        async def runs() -> bool:
            return await one.metric("target_running") == 1

        await until(runs)
        for pid in (engine, one.process.pid):
            os.kill(pid, signal.SIGTERM)
        assert (await asked)[0] == 200
        assert (await one.ended())[0] == 0


@pytest.mark.parametrize(("on_bad", "code"), [("exit", 78), ("stay", None)])
async def test_a_bad_model_is_no_death_of_the_engine(on_bad: str, code: int | None) -> None:
    async with replica("--on-bad-model", on_bad, "--restart-engine", "on", model="bad") as one:
        if code is not None:
            ended, log = await one.ended()
            assert ended == code
            assert "the model is not served: manifest: it is bad" in log
            return

        async def refused() -> bool:
            return "manifest: it is bad" in (await one.get("/ready"))[1].get("reason", "")

        await until(refused)
        await asyncio.sleep(0.3)
        assert (await one.get("/version"))[1]["engine_pid"] == await one.engine()
        assert one.process.poll() is None


async def test_a_poisoned_request_takes_the_engine_along_and_the_next_engine_knows_nothing_of_it() -> None:
    async with replica("--restart-engine", "on") as one:
        first = await one.ready()
        await one.send("POST", "/faults/poison", {"marker": "arsenic"})
        assert (await one.ask())[0] == 200
        status, body = await one.ask(messages=[{"role": "user", "content": "with arsenic, please"}])
        assert (status, "signal 11 (SIGSEGV)" in body) == (503, True)
        assert await one.ready() != first
        assert (await one.get("/faults"))[1]["active"] == {}


async def test_a_load_can_be_made_slow_and_readiness_too_early() -> None:
    async with replica("--restart-engine", "on") as one:
        os_pid = await one.ready()
        await one.send("POST", "/faults/slow_load", {"delay_s": 60})
        await one.send("POST", "/faults/early_ready")
        await one.send("POST", "/faults/kill_engine")

        async def claims() -> bool:
            return await one.engine() != os_pid and (await one.get("/ready"))[0] == 200

        await until(claims)
        assert (await one.ask())[0] == 503
        await one.send("DELETE", "/faults/early_ready")
        assert (await one.get("/ready"))[0] == 503
        assert "kill_engine" not in (await one.get("/faults"))[1]["active"]


async def test_memory_that_leaks_in_the_engine_is_refused_and_ends_the_replica_with_its_own_code() -> None:
    async with replica("--mem-soft-limit-mb", "300", "--mem-look-s", "0.05", "--mem-patience-s", "1") as one:
        await one.ready()
        await one.send("POST", "/faults/leak_memory", {"mb": 400})

        async def refuses() -> bool:
            status, body = await one.ask()
            return status == 503 and "of the soft limit is used" in body

        await until(refuses)
        code, log = await one.ended()
        assert code == 75
        assert "the replica drains and ends" in log


async def test_without_a_limit_memory_leaks_and_nobody_minds() -> None:
    async with replica() as one:
        await one.ready()
        assert (await one.send("POST", "/faults/leak_memory", {"mb": 400}))[0] == 200

        async def leaked() -> bool:
            return kept_bytes([await one.engine()]) > 400 * 2**20

        await until(leaked)
        assert (await one.ask())[0] == 200
        assert (await one.get("/ready"))[0] == 200


async def test_memory_that_is_given_back_in_time_lets_requests_in_again() -> None:
    async with replica("--mem-soft-limit-mb", "300", "--mem-look-s", "0.05", "--mem-patience-s", "60") as one:
        await one.ready()
        await one.send("POST", "/faults/leak_memory", {"mb": 400})

        async def status_is(wanted: int) -> bool:
            return (await one.ask())[0] == wanted

        await until(lambda: status_is(503))
        await one.send("DELETE", "/faults/leak_memory")
        await until(lambda: status_is(200))


async def test_the_server_says_what_it_is_while_its_engine_loads_and_imports_no_torch() -> None:
    async with replica("--slow-load-s", "60") as one:

        async def listens() -> bool:
            return (await one.get("/health"))[0] == 200

        await until(listens)
        assert (await one.get("/ready"))[1]["reason"] == "the model is loading"
        assert (await one.get("/version"))[1]["engine_pid"] == await one.engine()
        assert "torch" not in maps_of(one.process.pid)
        one.process.terminate()
        assert (await one.ended())[0] == 0
