"""What a simulation gives: how each request ended, or how many ended how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from harness.model.request import Outcome
from harness.soak.simulator import kernel

__all__ = ["OUTCOME_OF", "End", "Requests", "Totals", "bucket_edges_s"]

HISTOGRAM_SIZE = 40 * 1024 + 2048


class End(IntEnum):
    """How a request ended: exactly one of these. Only `OK` is good."""

    OK = kernel.OK
    REJECTED = kernel.REJECTED  # its last try met a full queue
    REFUSED = kernel.REFUSED  # its last try met a crashed replica, or no replica at all
    RESET = kernel.RESET  # the replica crashed while it held the last try
    TIMEOUT = kernel.TIMEOUT  # no answer by the deadline, or by the time limit of the last try
    UNFINISHED = kernel.UNFINISHED  # held for ever: an outage without end, and a client without deadline


# Answers come whole here, so nothing is ever begun and unfinished.
OUTCOME_OF = {
    End.OK: Outcome.OK,
    End.REJECTED: Outcome.HTTP_ERROR,
    End.REFUSED: Outcome.REFUSED,
    End.RESET: Outcome.REFUSED,
    End.TIMEOUT: Outcome.TIMEOUT,
    End.UNFINISHED: Outcome.IN_FLIGHT_AT_END,
}


@dataclass(frozen=True)
class Requests:
    """Per request, in the order of arrival.

    `end` (n,) int64, see `End`; `latency_s` (n,) float64: when it ended, counted from when it was due.
    """

    end: npt.NDArray[np.int64]
    latency_s: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Totals:
    """Sums over all requests. Times in s; windows by the time at which a request was due."""

    ends: dict[End, int]
    tries: int
    retries: int
    retries_denied: int  # by the budget
    started: int  # tries that reached a server
    wait_s_mean: float  # of those: time in the queue
    latency_s_mean: float  # of OK requests, retries included; nan without any
    latency_s_max: float
    busy_s: npt.NDArray[np.float64]  # (replicas,): time of servers spent, hangs and work in vain included
    backlog_max: int  # the longest queue of one replica
    window_s: float
    window_arrivals: npt.NDArray[np.int64]  # (windows,)
    window_ok: npt.NDArray[np.int64]  # (windows,)
    window_backlog: npt.NDArray[np.int64]  # (windows,): longest queue of one replica, by the time of the try
    histogram: npt.NDArray[np.int64]  # of OK requests, see `bucket_edges_s`

    @property
    def requests(self) -> int:
        """All that arrived: the sum of all ends."""
        return sum(self.ends.values())

    @property
    def success_rate(self) -> float:
        """OK of all that arrived; nan when none did."""
        return self.ends[End.OK] / self.requests if self.requests else float("nan")

    def utilisation(self, horizon_s: float, servers: int) -> npt.NDArray[np.float64]:
        """(replicas,): the share of `horizon_s` for which a replica's servers were busy."""
        return self.busy_s / (horizon_s * servers)

    def latency_s(self, quantile: float) -> float:
        """A quantile of OK requests' latency, from buckets at most 0.1 % (or 1 µs) wide; nan without any."""
        below = np.cumsum(self.histogram)
        if below[-1] == 0:
            return float("nan")
        rank = min(int(below[-1]) - 1, int(quantile * below[-1]))
        bucket = int(np.searchsorted(below, rank, side="right"))
        low, high = bucket_edges_s()[bucket : bucket + 2]
        return float((low + high) / 2)


def bucket_edges_s() -> npt.NDArray[np.float64]:
    """(buckets + 1,): as HdrHistogram, 2,048 steps of 1 µs, then octaves of 1,024 steps, each twice as wide."""
    linear = np.arange(2048, dtype=np.float64)
    octaves = [np.arange(1024, 2048) * 2.0**octave for octave in range(1, 41)]
    last = 2.0**51
    return (np.concatenate([linear, *octaves, np.array([last])]) - 0.5) / 1e6
