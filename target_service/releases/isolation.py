"""Taking users away from a replica before it is restarted, by the gateway that sends them."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from target_service.releases.store import ReleaseError

__all__ = ["GatewayIsolation"]

TIMEOUT_S = 5.0
LOOK_S = 0.05


@dataclass(frozen=True)
class GatewayIsolation:
    """`address` HOST:PORT of a gateway with --admin-token-file; `drain_s`: how long requests under way are waited for.

    The gateway ends an isolation by itself: with the restarted process and its golden answers, or after a minute.
    """

    address: str
    token: str = field(repr=False)
    drain_s: float = 10.0
    now: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def isolate(self, name: str) -> None:
        """Return when no user is at the replica, or `drain_s` is over; ReleaseError: the gateway lets it not go."""
        give_up_s = self.now() + self.drain_s
        open_requests = self._ask("POST", f"/gateway/replicas/{name}/isolate", {"reason": "roll-out"})["open_requests"]
        while open_requests and self.now() < give_up_s:
            self.wait(LOOK_S)
            open_requests = self._ask("GET", "/gateway/state", None)["replicas"][name]["open_requests"]

    def _ask(self, method: str, path: str, body: object) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            said = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ReleaseError(f"the gateway at {self.address} did not answer: {error!r}") from error
        finally:
            connection.close()
        if response.status != 200:
            told = said.get("error") if isinstance(said, dict) else None
            reason = told.get("message") if isinstance(told, dict) else "no reason given"
            raise ReleaseError(f"the gateway at {self.address} refused with {response.status}: {reason}")
        return said
