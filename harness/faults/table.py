"""Which class does which kind of fault."""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.base import ActiveFault, Where
from harness.faults.model_files import (
    DamageTokenizer,
    EditConfig,
    Prune,
    Quantise,
    SwapVersion,
    WriteNan,
    ZeroBlock,
)
from harness.faults.network import (
    Blackhole,
    Corrupt,
    CutDown,
    Delay,
    NarrowBand,
    ResetConnections,
    SlowClose,
    StallStream,
    StatusAnswer,
    Swallow,
    TruncateStream,
)
from harness.faults.process import KillProcess, PauseProcess, StopProcess
from harness.faults.weights import FlipBits, RemoveWeights, TruncateWeights
from harness.model.fault import Fault

__all__ = ["DOERS", "activate"]

DOERS: Mapping[str, type[ActiveFault]] = {
    "network.bandwidth": NarrowBand,
    "network.blackhole": Blackhole,
    "network.corrupt": Corrupt,
    "network.down": CutDown,
    "network.http_status": StatusAnswer,
    "network.latency": Delay,
    "network.reset": ResetConnections,
    "network.slow_close": SlowClose,
    "network.sse_stall": StallStream,
    "network.sse_truncate": TruncateStream,
    "network.timeout": Swallow,
    "process.kill": KillProcess,
    "process.pause": PauseProcess,
    "process.stop": StopProcess,
    "weights.bit_flip": FlipBits,
    "weights.config": EditConfig,
    "weights.missing": RemoveWeights,
    "weights.nan": WriteNan,
    "weights.prune": Prune,
    "weights.quantise": Quantise,
    "weights.swap_version": SwapVersion,
    "weights.tokenizer": DamageTokenizer,
    "weights.truncate": TruncateWeights,
    "weights.zero_block": ZeroBlock,
}


def activate(fault: Fault, where: Where) -> ActiveFault:
    """The doer of a fault."""
    return DOERS[fault.kind](fault, where)
