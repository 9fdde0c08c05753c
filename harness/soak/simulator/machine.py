"""The kernel with its arrays, fed chunk by chunk; they grow when it asks for room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.soak.simulator import kernel
from harness.soak.simulator.engine import Engine, choose, run_of
from harness.soak.simulator.inputs import Clients, Outage, Service, SimulationError
from harness.soak.simulator.layout import OTHER, WHOLE, Arrays, lay_out, tables
from harness.soak.simulator.results import HISTOGRAM_SIZE, End, Requests, Totals
from harness.soak.simulator.schedule import fault_arrays

__all__ = ["FloatArray", "Machine", "Setup"]

FloatArray = npt.NDArray[np.float64]
_BY_ID = ("heap", "ids", "order", "index", "tries", "replica", "end", "when_s", "first_s", "service_s")
_ROOM = 1024  # places at first, for what is pending and for who waits


@dataclass(frozen=True)
class Setup:
    """What is simulated. `window_s`: counts are kept per so many s of [0, horizon_s), the last one beyond it too."""

    service: Service
    clients: Clients = field(default_factory=Clients)
    outages: Sequence[Outage] = ()
    horizon_s: float = 3600.0
    window_s: float = 60.0
    seed: int = 0  # of the jitter alone
    engine: Engine = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.window_s <= self.horizon_s < math.inf:
            must = f"above 0 and at most horizon_s, {self.horizon_s}, which must be finite"
            raise SimulationError(f"window_s is {self.window_s}: it must be {must}")
        if self.seed < 0:
            raise SimulationError(f"seed is {self.seed}: it must be 0 or more")


class Machine:
    """One simulation. `recorded`: how many requests will come, to keep each one's end; None keeps sums alone."""

    def __init__(self, setup: Setup, recorded: int | None = None) -> None:
        self._setup = setup
        self._plain = choose(setup.engine) == "python"
        self._run = run_of("python" if self._plain else "numba")
        self._recorded = recorded or 0
        single = _single(setup, record=recorded is not None)
        self._keep(single, _first_tables(setup, single[0], self._recorded))
        self._fed = 0
        self._last_s = 0.0

    def feed(self, arrival_s: FloatArray, service_s: FloatArray, *, last: bool) -> None:
        """Requests in order; `last`: no more will come, so follow all to their ends."""
        self._check(arrival_s, service_s)
        self._n[kernel.CURSOR], self._n[kernel.FIRST_INDEX], self._n[kernel.LAST] = 0, self._fed, int(last)
        # One kind of array, whatever is given: the kernel would be compiled again for another.
        arrays = (np.require(column, np.float64, ["C", "W"]) for column in (arrival_s, service_s))
        columns = [self._native(column) for column in arrays]
        while self._run(self._n, self._x, *columns) != kernel.DONE:
            self._grow()
        self._fed += len(arrival_s)

    def requests(self) -> Requests:
        """Each request's end, when they were to be kept."""
        _, _, found = self._arrays()
        return Requests(found["ended"].copy(), found["latency_s"].copy())

    def totals(self) -> Totals:
        """The sums so far."""
        n, x, found = self._arrays()
        good, started = int(n[kernel.OK]), int(n[kernel.STARTED])
        totals = Totals(
            ends={end: int(n[end]) for end in End},
            tries=int(n[kernel.TRIED]),
            retries=int(n[kernel.RETRIED]),
            retries_denied=int(n[kernel.DENIED]),
            started=started,
            wait_s_mean=float(x[kernel.WAIT_S]) / started if started else math.nan,
            latency_s_mean=float(x[kernel.LATENCY_S]) / good if good else math.nan,
            latency_s_max=float(x[kernel.LATENCY_S_MAX]) if good else math.nan,
            busy_s=found["busy_s"].copy(),
            backlog_max=int(n[kernel.BACKLOG_MAX]),
            window_s=self._setup.window_s,
            window_arrivals=found["window_arrivals"].copy(),
            window_ok=found["window_ok"].copy(),
            window_backlog=found["window_backlog"].copy(),
            histogram=found["histogram"].copy(),
        )
        assert totals.requests == self._fed, "a request has no end, or two"
        return totals

    def _native(self, column: npt.NDArray[Any]) -> Any:
        """Lists are several times as fast as arrays where Python looks at one number at a time."""
        return column.tolist() if self._plain else column

    def _keep(self, single: Arrays, found: dict[str, npt.NDArray[Any]]) -> None:
        n, x = lay_out(single, found)
        self._n, self._x = self._native(n), self._native(x)

    def _arrays(self) -> tuple[npt.NDArray[np.int64], FloatArray, dict[str, npt.NDArray[Any]]]:
        """Single numbers, and tables."""
        n, x = np.asarray(self._n, np.int64), np.asarray(self._x, np.float64)
        return n[: kernel.SINGLE_N], x[: kernel.SINGLE_X], tables(n, x)

    def _check(self, arrival_s: FloatArray, service_s: FloatArray) -> None:
        if arrival_s.shape != service_s.shape or arrival_s.ndim != 1:
            raise SimulationError(f"arrivals have shape {arrival_s.shape}, service times {service_s.shape}")
        if not len(arrival_s):
            return
        first_s, last_s = float(arrival_s[0]), float(arrival_s[-1])
        if not (first_s >= self._last_s and last_s < math.inf and bool(np.all(arrival_s[1:] >= arrival_s[:-1]))):
            raise SimulationError("arrivals must be finite, in order, and not before 0 or the chunk before")
        if not (float(service_s.min()) > 0 and float(service_s.max()) < math.inf):
            raise SimulationError("service times must be above 0 and finite")
        self._last_s = last_s

    def _grow(self) -> None:
        """Twice the room for what is pending and for who waits."""
        n, x, found = self._arrays()
        before, room = int(n[kernel.WAITING_MAX]), len(found["heap"])
        for name in _BY_ID:
            found[name] = np.concatenate([found[name], np.zeros_like(found[name])])
        free = int(n[kernel.FREE_IDS])
        found["ids"][free : free + room] = np.arange(room, 2 * room)
        rows = found["leave_s"].reshape(-1, before)
        found["leave_s"] = np.hstack([rows, np.zeros_like(rows)]).ravel()
        n[kernel.FREE_IDS], n[kernel.WAITING_MAX], n[kernel.TIGHT] = free + room, 2 * before, 0
        self._keep((n, x), found)


def _first_tables(setup: Setup, n: npt.NDArray[np.int64], recorded: int) -> dict[str, npt.NDArray[Any]]:
    replicas = setup.service.replicas
    faults = fault_arrays(setup.outages, setup.service)
    sizes = dict.fromkeys(_BY_ID, _ROOM) | dict.fromkeys(("waiting", "busy_s"), replicas)
    sizes |= dict.fromkeys(("window_arrivals", "window_ok", "window_backlog"), int(n[kernel.WINDOWS]))
    sizes |= dict.fromkeys(("ended", "latency_s"), recorded) | {"histogram": HISTOGRAM_SIZE}
    sizes |= {"leave_s": replicas * int(n[kernel.WAITING_MAX]), "free_s": replicas * setup.service.servers}
    found: dict[str, npt.NDArray[Any]] = {name: np.zeros(sizes[name], np.int64) for name in WHOLE if name in sizes}
    found |= {name: np.zeros(sizes[name]) for name in OTHER if name in sizes}
    found["ids"] = np.arange(_ROOM, dtype=np.int64)
    starts = {"next_down": faults["down_first"][:-1], "next_away": faults["away_first"][:-1]}
    return found | faults | starts


def _single(setup: Setup, *, record: bool) -> Arrays:
    """Rules, and counters at their begin."""
    service, clients = setup.service, setup.clients
    limit = service.queue_limit
    n, x = np.zeros(kernel.SINGLE_N, np.int64), np.zeros(kernel.SINGLE_X)
    n[kernel.FREE_IDS] = _ROOM
    n[kernel.DRAW] = setup.seed % 2147483646 + 1
    n[kernel.REPLICAS] = service.replicas
    n[kernel.SERVERS] = service.servers
    n[kernel.QUEUE_LIMIT] = -1 if limit is None else limit
    n[kernel.WAITING_MAX] = _ROOM if limit is None else limit + 2
    n[kernel.CANCELS] = service.cancels
    n[kernel.SPREAD] = service.routing == "spread"
    n[kernel.TRIES_MAX] = clients.tries_max
    n[kernel.JITTER] = clients.jitter
    n[kernel.RETRY_REJECTED] = clients.retry_rejected
    n[kernel.WINDOWS] = math.ceil(setup.horizon_s / setup.window_s)
    n[kernel.RECORD] = record
    x[kernel.DEADLINE_S] = _or_never(clients.deadline_s)
    x[kernel.TRY_TIMEOUT_S] = _or_never(clients.try_timeout_s)
    x[kernel.BACKOFF_S] = clients.backoff_s
    x[kernel.BACKOFF_MAX_S] = clients.backoff_max_s
    x[kernel.RETRY_SHARE] = _or_never(clients.retry_share)
    x[kernel.SAVED_MAX] = math.inf if clients.retry_share is None else clients.saved_max
    x[kernel.WINDOWS_PER_S] = 1 / setup.window_s
    return n, x


def _or_never(limit_s: float | None) -> float:
    return math.inf if limit_s is None else float(limit_s)
