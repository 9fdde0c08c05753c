"""Which class does which kind of fault."""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.base import ActiveFault, Where
from harness.faults.clock import JumpClock
from harness.faults.crash_loop import CrashLoop
from harness.faults.exec import Exec
from harness.faults.memory import Oom, Pressure
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
from harness.faults.node import TakeNode
from harness.faults.partition import CutOff, LoseNames
from harness.faults.process import KillProcess, PauseProcess, StopProcess
from harness.faults.resources import FilesLimited, ProcessorsLimited, ReadsSlow, ShmFull, VolumeFull
from harness.faults.service import Crash, Hang, KillEngine, LeakMemory, LeakSlots, PauseEngine, Spin
from harness.faults.service import StallStream as StallOwnStream
from harness.faults.service import TruncateStream as TruncateOwnStream
from harness.faults.service_request import Poison, StaleCache
from harness.faults.service_start import EarlyReady, SlowLoad
from harness.faults.start import EmptyModel, LoseDependency, TakePort
from harness.faults.traffic import IdleConnections, MoreRequests
from harness.faults.weights import FlipBits, ForbidReading, RemoveWeights, TruncateWeights
from harness.model.fault import Fault

__all__ = ["DOERS", "activate"]

DOERS: Mapping[str, type[ActiveFault]] = {
    "clock.jump": JumpClock,
    "memory.oom": Oom,
    "memory.pressure": Pressure,
    "exec": Exec,
    "network.bandwidth": NarrowBand,
    "network.blackhole": Blackhole,
    "network.corrupt": Corrupt,
    "network.dns": LoseNames,
    "network.down": CutDown,
    "network.http_status": StatusAnswer,
    "network.latency": Delay,
    "network.partition": CutOff,
    "network.reset": ResetConnections,
    "network.slow_close": SlowClose,
    "network.sse_stall": StallStream,
    "network.sse_truncate": TruncateStream,
    "network.timeout": Swallow,
    "node.down": TakeNode,
    "process.crash_loop": CrashLoop,
    "process.kill": KillProcess,
    "process.pause": PauseProcess,
    "process.stop": StopProcess,
    "resources.cpu": ProcessorsLimited,
    "resources.disk_full": VolumeFull,
    "resources.fd": FilesLimited,
    "resources.shm": ShmFull,
    "service.crash": Crash,
    "service.early_ready": EarlyReady,
    "service.hang": Hang,
    "service.kill_engine": KillEngine,
    "service.pause_engine": PauseEngine,
    "service.leak_memory": LeakMemory,
    "service.leak_slots": LeakSlots,
    "service.poison": Poison,
    "service.slow_load": SlowLoad,
    "service.spin": Spin,
    "service.stale_cache": StaleCache,
    "service.stall_stream": StallOwnStream,
    "service.truncate_stream": TruncateOwnStream,
    "start.dependency_missing": LoseDependency,
    "start.model_missing": EmptyModel,
    "start.port_taken": TakePort,
    "storage.slow": ReadsSlow,
    "traffic.abandon": MoreRequests,
    "traffic.burst": MoreRequests,
    "traffic.idle_connections": IdleConnections,
    "traffic.long_prompt": MoreRequests,
    "traffic.retry_storm": MoreRequests,
    "weights.bit_flip": FlipBits,
    "weights.config": EditConfig,
    "weights.missing": RemoveWeights,
    "weights.nan": WriteNan,
    "weights.permissions": ForbidReading,
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
