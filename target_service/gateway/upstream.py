"""One try at one replica: send the request there and bring the answer back."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import lru_cache

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict
from yarl import URL

from target_service.gateway.dispatch import Slot
from target_service.gateway.evidence import Evidence, evidence_of_answer, outcome_of_answer
from target_service.gateway.names import connector
from target_service.gateway.settings import GatewaySettings, ReplicaAddress
from target_service.gateway.stream_end import StreamEnd
from target_service.protocol.body import read_body
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.paths import USER_PATHS
from target_service.protocol.web import INCARNATION, NOT_READY, REQUEST_ID, SERVED_BY, error_reply, is_probe, request_id

__all__ = ["Attempt", "Outgoing", "Upstream", "outgoing_of"]

EVENTS = "text/event-stream"
DATA = b"data: "  # a heartbeat has none
# Headers about one connection, not about the message (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer",
                        "transfer-encoding", "upgrade", "proxy-authenticate",
                        "proxy-authorization"})  # fmt: skip
# The body is read whole and unpacked here, so headers about how it was sent would be wrong.
NOT_FORWARDED = HOP_BY_HOP | {"host", "content-length", "content-encoding", "expect", "x-request-id"}
# A client may also name a whole URL, which a replica's URL in front would make nonsense of.
_PASSABLE = re.compile(r"/[\x21-\x7e]*")
NOT_RETURNED = HOP_BY_HOP | {"x-request-id", "x-served-by", "x-incarnation", "date", "server"}


@dataclass(frozen=True)
class Outgoing:
    """What is sent to a replica, as often as it is tried; `deadline_s` on the loop's clock is for all tries."""

    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes
    probe: bool
    deadline_s: float

    def may_stream(self) -> bool:
        """Whether the answer must pass piece by piece; a body that cannot be read may ask for that."""
        if self.method != "POST":
            return True
        try:
            asked = json.loads(self.body)
        except (ValueError, RecursionError):
            return True
        return not isinstance(asked, dict) or bool(asked.get("stream"))


@dataclass(frozen=True)
class Attempt:
    """How a try ended; `response` is what the client has got, or would get."""

    replica: str
    outcome: str
    response: web.StreamResponse
    evidence: Evidence
    restarted_as: str | None = None
    not_ready: bool = False

    @property
    def not_begun(self) -> bool:
        """Nothing was asked of a replica that serves: to ask another one costs no retry."""
        return self.restarted_as is not None or self.not_ready

    @property
    def unanswered(self) -> bool:
        """The replica failed before the client got a byte, and sooner than the time for all tries was over."""
        return self.outcome in ("refused", "broken", "try_timeout")


async def outgoing_of(request: web.Request, timeout_s: float, *, with_key: bool) -> Outgoing:
    """Read a client's request whole, so that it can be sent more than once; `with_key` passes Authorization on.

    Raises RequestRejectedError for one that cannot be passed on: no replica must be blamed for it.
    """
    path = request.raw_path.partition("?")[0]
    if not (_PASSABLE.fullmatch(request.raw_path) and (path.startswith("/v1/") or path in USER_PATHS)):
        raise RequestRejectedError(400, "The request's target must begin with /v1/ and be plain ASCII.")
    for name, value in request.headers.items():
        if not _is_utf8(value):
            raise RequestRejectedError(400, f"The header {name} is not UTF-8.")
    kept = ((key, value) for key, value in request.headers.items() if key.lower() not in NOT_FORWARDED)
    headers = CIMultiDict(kept)
    if not with_key:
        headers.popall("Authorization", None)
    headers[REQUEST_ID] = request_id(request)
    body = await read_body(request)
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    return Outgoing(request.method, request.raw_path, headers, body, is_probe(request), deadline_s)


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class Upstream:
    """The connections to all replicas."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._timeout_s = settings.request_timeout_s
        self._try_timeout_s = settings.try_timeout_s
        # Whether who is not verified, or says itself that it is not ready, is asked all the same.
        self._only_verified = settings.golden_prompts > 0
        self._stall_s = settings.stream_stall_s
        self._reuse = settings.reuse_connections in ("users", "all")

    async def start(self, resolver: AbstractResolver | None = None) -> None:
        """Open the session, with names of replicas as the resolver has them; needs a running loop."""
        self._session = aiohttp.ClientSession(
            connector=connector(resolver, force_close=not self._reuse),
            timeout=aiohttp.ClientTimeout(total=None),
            # Bytes pass as they are; a packed body stays packed.
            auto_decompress=False,
            # A replica must see what the client sent, not what this client library would have.
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            # A cookie that one user was given must not go out with another one's request.
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()

    async def relay(self, request: web.Request, outgoing: Outgoing, slot: Slot) -> Attempt:
        """Pass the answer to the client chunk by chunk, as it comes."""
        response: web.StreamResponse | None = None
        to_client = False
        replica, limit = slot.address, self._limit(outgoing)
        try:
            async with limit, self._ask(outgoing, replica) as upstream:
                # It has begun to answer: from here on the request's own deadline counts.
                limit.reschedule(outgoing.deadline_s)
                stranger = self._stranger(upstream, slot)
                if stranger is not None:
                    return stranger
                outcome, evidence = _ended(upstream)
                streams = outcome == "answered" and upstream.content_type == EVENTS
                response = web.StreamResponse(
                    status=upstream.status, reason=upstream.reason, headers=_returned(upstream, replica)
                )
                to_client = True
                await response.prepare(request)
                to_client = False
                end = StreamEnd()
                async for piece in upstream.content.iter_any():
                    to_client = True
                    await response.write(piece)
                    to_client = False
                    end.feed(piece)
                    if streams and self._stall_s and DATA in piece:
                        limit.reschedule(min(asyncio.get_running_loop().time() + self._stall_s, outgoing.deadline_s))
                to_client = True
                await response.write_eof()
                # A 200 was said before the first token; only the stream's end says whether it was served.
                if streams:
                    outcome = end.outcome
                    # One that says what went wrong may have been asked for it; a stream without an end is broken off.
                    evidence = Evidence.FAILED if outcome == "upstream_incomplete" else evidence
                return Attempt(replica.name, outcome, response, evidence)
        except (TimeoutError, aiohttp.ClientError) as error:
            failed = self._failed(error, replica, try_over=_when(limit) < outgoing.deadline_s)
        if response is None or not response.prepared:
            return failed
        # The client must see a broken answer, never one that ends well.
        if request.transport is not None:
            request.transport.abort()
        # A client that reads too slowly, or has gone, says nothing of the replica.
        evidence = Evidence.NEUTRAL if to_client else Evidence.FAILED
        return Attempt(replica.name, f"{failed.outcome}_mid_body", response, evidence)

    async def fetch(self, outgoing: Outgoing, slot: Slot) -> Attempt:
        """Take the whole answer before the client gets any of it."""
        replica, limit = slot.address, self._limit(outgoing)
        try:
            async with limit, self._ask(outgoing, replica) as upstream:
                limit.reschedule(outgoing.deadline_s)
                stranger = self._stranger(upstream, slot)
                if stranger is not None:
                    return stranger
                body = await upstream.read()
                headers = _returned(upstream, replica)
                response = web.Response(status=upstream.status, reason=upstream.reason, headers=headers, body=body)
                outcome, evidence = _ended(upstream)
                return Attempt(replica.name, outcome, response, evidence)
        except (TimeoutError, aiohttp.ClientError) as error:
            return self._failed(error, replica, try_over=_when(limit) < outgoing.deadline_s)

    def _limit(self, outgoing: Outgoing) -> asyncio.Timeout:
        """For one try: it must begin to answer in time, and end before the request's deadline."""
        if not self._try_timeout_s:
            return asyncio.timeout_at(outgoing.deadline_s)
        begun_s = asyncio.get_running_loop().time() + self._try_timeout_s
        return asyncio.timeout_at(min(begun_s, outgoing.deadline_s))

    def _ask(
        self, outgoing: Outgoing, replica: ReplicaAddress
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse, bool | None]:
        return self._session.request(
            outgoing.method,
            _url(replica.url, outgoing.path),
            data=outgoing.body,
            headers=outgoing.headers,
            allow_redirects=False,
        )

    def _stranger(self, upstream: aiohttp.ClientResponse, slot: Slot) -> Attempt | None:
        """The answer of a process that nobody has verified, or that takes no users: sooner than a beat saw it."""
        if self._only_verified and upstream.status == 503 and NOT_READY in upstream.headers:
            refused = _rejected(503, "is not ready.", "not_ready", slot.address)
            return replace(refused, evidence=Evidence.NEUTRAL, not_ready=True)
        seen = upstream.headers.get(INCARNATION)
        if not self._only_verified or seen is None or slot.incarnation is None or seen == slot.incarnation:
            return None
        failed = _rejected(502, "has started again and is not verified.", "restarted", slot.address)
        return replace(failed, restarted_as=seen)

    def _failed(self, error: Exception, replica: ReplicaAddress, *, try_over: bool) -> Attempt:
        timeout = isinstance(error, TimeoutError)
        if timeout and try_over:
            status, message, outcome = 504, f"did not begin to answer in {self._try_timeout_s:g} s.", "try_timeout"
        elif timeout:
            status, message, outcome = 504, f"did not answer in {self._timeout_s:g} s.", "timeout"
        elif isinstance(error, aiohttp.ClientConnectorError):
            status, message, outcome = 502, f"cannot be reached: {error}.", "refused"
        else:
            status, message, outcome = 502, f"broke off: {error!r}.", "broken"
        return _rejected(status, message, outcome, replica)


def _rejected(status: int, message: str, outcome: str, replica: ReplicaAddress) -> Attempt:
    rejected = RequestRejectedError(status, f"{replica.name} {message}", code=f"upstream_{outcome}")
    response = error_reply(rejected)
    response.headers[SERVED_BY] = replica.name
    return Attempt(replica.name, outcome, response, Evidence.FAILED)


def _when(limit: asyncio.Timeout) -> float:
    # Timers may fire a little early: which limit it was says the limit, not the clock.
    when_s = limit.when()
    assert when_s is not None, "every try has a limit"
    return when_s


@lru_cache(maxsize=256)
def _url(base: str, path: str) -> URL:
    # As it is: resolving /v1/../x would lead out of /v1.
    return URL(base + path, encoded=True)


def _returned(upstream: aiohttp.ClientResponse, replica: ReplicaAddress) -> CIMultiDict[str]:
    headers = CIMultiDict((key, value) for key, value in upstream.headers.items() if key.lower() not in NOT_RETURNED)
    headers[SERVED_BY] = replica.name
    return headers


def _ended(upstream: aiohttp.ClientResponse) -> tuple[str, Evidence]:
    """What an answer is counted as once it is whole, and what it says of the replica."""
    retry_after = "Retry-After" in upstream.headers
    status = upstream.status
    return outcome_of_answer(status, retry_after=retry_after), evidence_of_answer(status, retry_after=retry_after)
