"""What a stack can do to its target."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["OF_CONTAINERS", "Capability"]


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
    SUPERVISOR = "supervisor"
    """A scenario may choose who restarts replicas that died."""
    RESOURCES = "resources"
    """Each replica has limits of its own on memory, processors, descriptors and volumes, which can be used up."""
    CLOCK = "clock"
    """A replica's wall clock can jump while the host's stays."""
    SLOW_STORAGE = "slow_storage"
    """A replica's reads from disk can be throttled."""


OF_CONTAINERS = frozenset({Capability.RESOURCES, Capability.CLOCK, Capability.SLOW_STORAGE})
"""What processes that share a host cannot have done to one of them alone."""
