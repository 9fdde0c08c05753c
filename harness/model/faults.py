"""The parameters of every fault kind. What they do is in `harness/faults/`, one file per family.

To add a kind: a dataclass here (the network's are in `network_faults.py`, the service's in `service_faults.py`, the
model's in `weights_faults.py`, a container's in `resource_faults.py`), a row in FAULTS, a class in `harness/faults/`,
a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.model.capability import Capability
from harness.model.fault import Fault, SecondsAboveZero
from harness.model.network_faults import (
    NetworkBandwidth,
    NetworkBlackhole,
    NetworkCorrupt,
    NetworkDown,
    NetworkHttpStatus,
    NetworkLatency,
    NetworkReset,
    NetworkSlowClose,
    NetworkSseStall,
    NetworkSseTruncate,
    NetworkTimeout,
)
from harness.model.resource_faults import RESOURCE_FAULTS
from harness.model.service_faults import SERVICE_FAULTS
from harness.model.weights_faults import (
    WeightsBitFlip,
    WeightsConfig,
    WeightsMissing,
    WeightsNan,
    WeightsPrune,
    WeightsQuantise,
    WeightsSwapVersion,
    WeightsTokenizer,
    WeightsTruncate,
    WeightsZeroBlock,
)

__all__ = [
    "FAULTS",
    "ProcessKill",
    "ProcessPause",
    "ProcessStop",
    "WeightsBitFlip",
    "WeightsConfig",
    "WeightsMissing",
    "WeightsNan",
    "WeightsPrune",
    "WeightsQuantise",
    "WeightsSwapVersion",
    "WeightsTokenizer",
    "WeightsTruncate",
    "WeightsZeroBlock",
]


@dataclass(frozen=True, kw_only=True)
class ProcessKill(Fault):
    """SIGKILL to the server process; its supervisor is expected to restart it."""

    needs: ClassVar[Capability] = Capability.KILL
    kind: Literal["process.kill"] = "process.kill"


@dataclass(frozen=True, kw_only=True)
class ProcessStop(Fault):
    """SIGTERM to the server process: a clean exit that the supervisor should still repair."""

    needs: ClassVar[Capability] = Capability.STOP
    kind: Literal["process.stop"] = "process.stop"


@dataclass(frozen=True, kw_only=True)
class ProcessPause(Fault):
    """SIGSTOP to the server process: it accepts connections and never answers."""

    needs: ClassVar[Capability] = Capability.PAUSE
    kind: Literal["process.pause"] = "process.pause"
    for_s: SecondsAboveZero = 10.0
    """How long it hangs before SIGCONT."""

    @property
    def lasts_s(self) -> float:
        return self.for_s


FAULTS: Mapping[str, type[Fault]] = {
    **RESOURCE_FAULTS,
    "network.bandwidth": NetworkBandwidth,
    "network.blackhole": NetworkBlackhole,
    "network.corrupt": NetworkCorrupt,
    "network.down": NetworkDown,
    "network.http_status": NetworkHttpStatus,
    "network.latency": NetworkLatency,
    "network.reset": NetworkReset,
    "network.slow_close": NetworkSlowClose,
    "network.sse_stall": NetworkSseStall,
    "network.sse_truncate": NetworkSseTruncate,
    "network.timeout": NetworkTimeout,
    "process.kill": ProcessKill,
    "process.pause": ProcessPause,
    "process.stop": ProcessStop,
    **SERVICE_FAULTS,
    "weights.bit_flip": WeightsBitFlip,
    "weights.config": WeightsConfig,
    "weights.missing": WeightsMissing,
    "weights.nan": WeightsNan,
    "weights.prune": WeightsPrune,
    "weights.quantise": WeightsQuantise,
    "weights.swap_version": WeightsSwapVersion,
    "weights.tokenizer": WeightsTokenizer,
    "weights.truncate": WeightsTruncate,
    "weights.zero_block": WeightsZeroBlock,
}
