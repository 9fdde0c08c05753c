"""The parameters of every fault kind. What they do is in `harness/faults/`, one file per family.

To add a kind: a dataclass in its family's file (`network_faults.py`, `partition_faults.py`, `process_faults.py`,
`resource_faults.py`, `service_faults.py`, `start_faults.py`, `traffic_faults.py`, `weights_faults.py`), a row in
FAULTS, a class in `harness/faults/`, a test.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.model.exec_fault import ExecFault
from harness.model.fault import Fault
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
from harness.model.partition_faults import NetworkDns, NetworkPartition
from harness.model.process_faults import PROCESS_FAULTS, ProcessKill, ProcessPause, ProcessStop
from harness.model.resource_faults import RESOURCE_FAULTS
from harness.model.service_faults import SERVICE_FAULTS
from harness.model.start_faults import START_FAULTS
from harness.model.traffic_faults import TRAFFIC_FAULTS
from harness.model.weights_faults import (
    WeightsBitFlip,
    WeightsConfig,
    WeightsMissing,
    WeightsNan,
    WeightsPermissions,
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
    "WeightsPermissions",
    "WeightsPrune",
    "WeightsQuantise",
    "WeightsSwapVersion",
    "WeightsTokenizer",
    "WeightsTruncate",
    "WeightsZeroBlock",
]

FAULTS: Mapping[str, type[Fault]] = {
    "exec": ExecFault,
    **RESOURCE_FAULTS,
    "network.bandwidth": NetworkBandwidth,
    "network.blackhole": NetworkBlackhole,
    "network.corrupt": NetworkCorrupt,
    "network.dns": NetworkDns,
    "network.down": NetworkDown,
    "network.http_status": NetworkHttpStatus,
    "network.latency": NetworkLatency,
    "network.partition": NetworkPartition,
    "network.reset": NetworkReset,
    "network.slow_close": NetworkSlowClose,
    "network.sse_stall": NetworkSseStall,
    "network.sse_truncate": NetworkSseTruncate,
    "network.timeout": NetworkTimeout,
    **PROCESS_FAULTS,
    **SERVICE_FAULTS,
    **START_FAULTS,
    **TRAFFIC_FAULTS,
    "weights.bit_flip": WeightsBitFlip,
    "weights.config": WeightsConfig,
    "weights.missing": WeightsMissing,
    "weights.nan": WeightsNan,
    "weights.permissions": WeightsPermissions,
    "weights.prune": WeightsPrune,
    "weights.quantise": WeightsQuantise,
    "weights.swap_version": WeightsSwapVersion,
    "weights.tokenizer": WeightsTokenizer,
    "weights.truncate": WeightsTruncate,
    "weights.zero_block": WeightsZeroBlock,
}
