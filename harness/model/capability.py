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
    TRAFFIC = "traffic"
    """Strangers beside the measured users."""
    SUPERVISOR = "supervisor"
    """A scenario may choose who restarts replicas that died."""
    PARTITION = "partition"
    """Packets between servers can be dropped, refused, or have no name to go to."""
    KILL_INIT = "kill_init"
    """A replica has a first process of its own, whose end takes all others with it."""
    NODES = "nodes"
    """Servers can be taken away without a word, and without their supervisor restarting them."""
    TAKE_PORT = "take_port"
    """A replica's port can be taken by somebody else."""
    FILE_PERMISSIONS = "file_permissions"
    """The target runs as a user whom the modes of files bind; root reads everything."""
    OPTIONS = "options"
    """A scenario may set up the target: protection, options of gateway and replicas."""
    SECRETS = "secrets"
    """Servers of the target can share a secret of the run's own, with one another and with their users."""
    EXEC = "exec"
    """Commands that a scenario names may be run against the target."""
    BALANCER = "balancer"
    """A scenario may choose what spreads the users over the replicas."""
    RESOURCES = "resources"
    """Each replica has limits of its own on memory, processors, descriptors and volumes, which can be used up."""
    CLOCK = "clock"
    """A replica's wall clock can jump while the host's stays."""
    SLOW_STORAGE = "slow_storage"
    """A replica's reads from disk can be throttled."""


OF_CONTAINERS = frozenset({Capability.RESOURCES, Capability.CLOCK, Capability.SLOW_STORAGE})
"""What processes that share a host cannot have done to one of them alone."""
