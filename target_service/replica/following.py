"""A standby follows the primary's configuration: what may change live is taken over, the rest is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from target_service.replica.configuration import LIVE, Configuration, differences, followed
from target_service.replica.settings import HttpSettings

__all__ = ["Follower"]

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0


class Follower:
    """Reads /config of `url`; `adopt` makes settings effective. While the other is away, its last word holds."""

    def __init__(
        self, url: str, http: HttpSettings, configuration: Configuration, adopt: Callable[[HttpSettings], None]
    ) -> None:
        self._url = url
        self._http = http
        self._configuration = configuration
        self._adopt = adopt
        self._problem: str | None = None

    async def run(self, every_s: float) -> None:
        """Follow until cancelled."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            while True:
                try:
                    self.heard(await self._ask(session))
                    problem = None
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    problem = f"{type(error).__name__}: {error}"
                if problem != self._problem:
                    log.warning("%s/config: %s", self._url, problem or "can be read again")
                    self._problem = problem
                await asyncio.sleep(every_s)

    def heard(self, theirs: Mapping[str, object]) -> None:
        """The other's values as they are now."""
        ours = self._configuration
        http = followed(self._http, theirs)
        if http != self._http:
            self._http = http
            self._adopt(http)
            changes = {name: getattr(http, name.removeprefix("http.")) for name in LIVE}
            taken = [name for name in LIVE if ours.values[name] != changes[name]]
            log.info("took over from %s: %s", self._url, ", ".join(taken))
            ours.change({**ours.values, **changes})
        ours.differs = differences(ours.values, theirs)

    async def _ask(self, session: aiohttp.ClientSession) -> Mapping[str, Any]:
        async with session.get(f"{self._url}/config") as response:
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            body = await response.json()
        values = body.get("config") if isinstance(body, dict) else None
        if not isinstance(values, dict):
            raise ValueError("the answer is no configuration")
        return values
