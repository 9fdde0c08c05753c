"""What a stack can do to its target."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Capability"]


class Capability(StrEnum):
    """A stack lists its capabilities; a fault names the one it needs."""

    KILL = "kill"
    PAUSE = "pause"
    STOP = "stop"
    CORRUPT_FILES = "corrupt_files"
    NETWORK = "network"
    SERVICE_FAULTS = "service_faults"
    """Faults that a replica does to itself when somebody who has its token asks for them."""
    INFERENCE_TOXICS = "inference_toxics"
    """Toxics that the official Toxiproxy lacks: those that know HTTP and token streams, and two more."""
    TRAFFIC = "traffic"
    """Strangers beside the measured users."""
    SUPERVISOR = "supervisor"
    """A scenario may choose who restarts replicas that died."""
