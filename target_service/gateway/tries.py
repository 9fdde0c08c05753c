"""Serve one request by as many tries as it may have: retries one after another, a hedge beside the first."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from functools import partial

from aiohttp import web

from target_service.gateway.dispatch import Dispatcher, Slot
from target_service.gateway.evidence import Evidence
from target_service.gateway.retry_budget import RetryBudget, backoff_s
from target_service.gateway.settings import GatewaySettings
from target_service.gateway.traffic import Traffic
from target_service.gateway.upstream import Attempt, Outgoing, Upstream, outgoing_of

__all__ = ["Tries"]


class Tries:
    """Every try begins and ends at the dispatcher, also one that is cancelled."""

    def __init__(
        self,
        settings: GatewaySettings,
        dispatcher: Dispatcher,
        upstream: Upstream,
        traffic: Traffic,
        rng: random.Random,
    ) -> None:
        self._settings = settings
        self._budget = RetryBudget(settings.retry_share) if settings.retry_share else None
        self._dispatcher = dispatcher
        self._upstream = upstream
        self._traffic = traffic
        self._rng = rng

    async def serve(self, request: web.Request) -> Attempt | None:
        """How the last try ended; None when no replica could be tried at all."""
        settings = self._settings
        # A key that this gateway has checked is none of the replica's business.
        outgoing = await outgoing_of(request, settings.request_timeout_s, with_key=settings.api_keys_file is None)
        if self._budget is not None and not outgoing.probe:
            self._budget.pay_in()
        tried: set[str] = set()
        attempt = await self._try(request, outgoing, tried)
        # Nothing was asked of who was verified: this costs no retry, and ends as each of them is isolated now.
        while attempt is not None and attempt.not_begun:
            attempt = await self._try(request, outgoing, tried)
        retry = 1
        while attempt is not None and attempt.unanswered and await self._may_retry(outgoing, retry):
            retry += 1
            again = await self._try(request, outgoing, tried)
            if again is None:
                break
            attempt = again
        return attempt

    async def _may_retry(self, outgoing: Outgoing, retry: int) -> bool:
        # A probe wants to see what there is.
        if self._budget is None or outgoing.probe or retry > self._settings.retry_max:
            return False
        wait_s = backoff_s(retry, self._settings.retry_backoff_s, self._rng)
        if asyncio.get_running_loop().time() + wait_s >= outgoing.deadline_s or not self._budget.take():
            return False
        self._traffic.retries_total += 1
        await asyncio.sleep(wait_s)
        return True

    async def _try(self, request: web.Request, outgoing: Outgoing, tried: set[str]) -> Attempt | None:
        slot = self._dispatcher.begin(time.monotonic(), tried)
        if slot is None:
            return None
        tried.add(slot.replica)
        if self._settings.hedge_after_s and not outgoing.probe and not outgoing.may_stream():
            return await self._hedged(slot, outgoing, tried)
        return await self._run(slot, outgoing, partial(self._upstream.relay, request))

    async def _hedged(self, slot: Slot, outgoing: Outgoing, tried: set[str]) -> Attempt:
        tasks = [asyncio.create_task(self._run(slot, outgoing, self._upstream.fetch))]
        try:
            done, _ = await asyncio.wait(tasks, timeout=self._settings.hedge_after_s)
            if done:
                # Nearly always: nothing to choose from, and nothing to clear up.
                return tasks[0].result()
            second = self._hedge(tried)
            if second is not None:
                tasks.append(asyncio.create_task(self._run(second, outgoing, self._upstream.fetch)))
            first = await _first_answer(set(tasks))
            if second is not None and first.replica == second.replica:
                self._traffic.hedges_won_total += 1
            return first
        finally:
            left = [task for task in tasks if not task.done()]
            for task in left:
                task.cancel()
            if left:
                await asyncio.gather(*left, return_exceptions=True)

    def _hedge(self, tried: set[str]) -> Slot | None:
        # Without a budget, a stall of all replicas would double the load on them.
        if self._budget is not None and not self._budget.take():
            return None
        slot = self._dispatcher.begin(time.monotonic(), tried, again=False)
        if slot is not None:
            tried.add(slot.replica)
            self._traffic.hedges_total += 1
        elif self._budget is not None:
            self._budget.give_back()
        return slot

    async def _run(
        self,
        slot: Slot,
        outgoing: Outgoing,
        send: Callable[[Outgoing, Slot], Coroutine[None, None, Attempt]],
    ) -> Attempt:
        evidence = Evidence.NEUTRAL
        try:
            attempt = await send(outgoing, slot)
            if attempt.restarted_as is not None:
                self._dispatcher.restarted(slot, attempt.restarted_as)
            if attempt.not_ready:
                self._dispatcher.not_ready(slot)
            # A harness that probes is not a user who suffers.
            if not outgoing.probe:
                evidence = attempt.evidence
            return attempt
        finally:
            self._dispatcher.end(slot, evidence, time.monotonic())


async def _first_answer(tasks: set[asyncio.Task[Attempt]]) -> Attempt:
    """The first that was an answer; when none was, the last one. Who was not begun says nothing of who works on it."""
    while True:
        done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        attempts = [task.result() for task in done]
        good = [one for one in attempts if one.evidence is not Evidence.FAILED and not one.not_begun]
        if good or not tasks:
            return (good or attempts)[0]
