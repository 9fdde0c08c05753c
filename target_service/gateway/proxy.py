"""Pass one user request to the active replica and its answer back, chunk by chunk."""

from __future__ import annotations

import asyncio
import time

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from target_service.gateway.admission import Admission
from target_service.gateway.metrics import GatewayMetrics
from target_service.gateway.settings import GatewaySettings, ReplicaAddress
from target_service.gateway.traffic import Traffic
from target_service.protocol.errors import RequestRejectedError
from target_service.protocol.web import (
    REQUEST_ID,
    SERVED_BY,
    error_reply,
    is_probe,
    request_id,
)

__all__ = ["Proxy"]

# Headers about one connection, not about the message (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer",
                        "transfer-encoding", "upgrade", "proxy-authenticate",
                        "proxy-authorization"})  # fmt: skip
NOT_FORWARDED = HOP_BY_HOP | {"host", "content-length", "x-request-id"}
NOT_RETURNED = HOP_BY_HOP | {"x-request-id", "x-served-by", "date", "server"}


class Proxy:
    """Handles all of /v1; nothing is tried twice."""

    def __init__(self, settings: GatewaySettings, admission: Admission, metrics: GatewayMetrics) -> None:
        self._replicas = {replica.name: replica for replica in settings.replicas}
        self._timeout_s = settings.request_timeout_s
        self._admission = admission
        self._metrics = metrics
        self.traffic = Traffic()

    async def start(self) -> None:
        """Open the upstream session; needs a running loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            # Bytes pass as they are; a packed body stays packed.
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close the upstream session."""
        await self._session.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Route one request; aiohttp cancels this, and so the upstream, when the client leaves."""
        begin_s = time.monotonic()
        probe = is_probe(request)
        self.traffic.received(request_id(request), probe=probe)
        name = self._admission.route(begin_s)
        outcome = "cancelled"
        try:
            if name is None:
                outcome = "no_replica"
                return error_reply(RequestRejectedError(503, "No replica is admitted.", code=outcome, retry_after_s=1))
            response, outcome = await self._relay(request, self._replicas[name])
            response.headers.setdefault(SERVED_BY, name)
            return response
        finally:
            self.traffic.ended(outcome, probe=probe)
            self._metrics.ended(outcome, time.monotonic() - begin_s, probe=probe)

    async def _relay(self, request: web.Request, replica: ReplicaAddress) -> tuple[web.StreamResponse, str]:
        body = await request.read()
        response: web.StreamResponse | None = None
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.request(
                    request.method,
                    # As it is: resolving /v1/../x would lead out of /v1.
                    URL(replica.url + request.raw_path, encoded=True),
                    data=body,
                    headers=_forwarded(request),
                    allow_redirects=False,
                ) as upstream,
            ):
                response = _answer(upstream)
                response.headers[SERVED_BY] = replica.name
                await response.prepare(request)
                async for piece in upstream.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response, "answered"
        except TimeoutError:
            problem = (504, f"{replica.name} did not answer in {self._timeout_s:g} s.", "timeout")
        except aiohttp.ClientConnectorError as error:
            problem = (502, f"{replica.name} cannot be reached: {error}.", "refused")
        except aiohttp.ClientError as error:
            problem = (502, f"{replica.name} broke off: {error!r}.", "broken")
        status, message, outcome = problem
        if response is not None and response.prepared:
            # The client must see a broken answer, never one that ends well.
            if request.transport is not None:
                request.transport.abort()
            return response, f"{outcome}_mid_body"
        return error_reply(RequestRejectedError(status, message, code=f"upstream_{outcome}")), outcome


def _forwarded(request: web.Request) -> CIMultiDict[str]:
    headers = CIMultiDict((key, value) for key, value in request.headers.items() if key.lower() not in NOT_FORWARDED)
    headers[REQUEST_ID] = request_id(request)
    return headers


def _answer(upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = CIMultiDict((key, value) for key, value in upstream.headers.items() if key.lower() not in NOT_RETURNED)
    return web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
