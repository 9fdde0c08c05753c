"""What the script of the fake stack knows of one replica."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.model.request import Outcome
from harness.stack.fake.links import Effect
from harness.stack.service import Parameters

__all__ = ["PLACES", "FakeReplica"]

PLACES = 16  # in an engine


@dataclass
class FakeReplica:
    """One replica, as it is now."""

    name: str
    status: str = "up"  # up, dead, paused, loading (only a start with options is long enough to be seen)
    admitted: bool = True
    pid: int = 0
    answers_wrong: bool = False
    exit_reports: dict[int, str] = field(default_factory=dict)
    last_exit: str = ""
    last_words: str = ""
    generation: int = 0  # what was due for an earlier generation is void
    started_s: float = 0.0
    faults: dict[str, Parameters] = field(default_factory=dict)  # of the process, on demand
    faults_since_s: dict[str, float] = field(default_factory=dict)
    start_options: tuple[str, ...] = ()  # of the next starts
    early: bool = False  # says that it is ready while it loads
    loop_ended: bool = False  # of its engine, whose process lives
    kept: dict[str, float] = field(default_factory=dict)  # answers of its server's cache -> when they were given
    ooms: int = 0  # how often the kernel killed for memory

    @property
    def places(self) -> int:
        """In its engine that requests can have."""
        return max(0, PLACES - int(self.faults.get("leak_slots", {}).get("slots", 0)))

    def forget(self) -> None:
        """What ends with a process."""
        self.faults, self.faults_since_s, self.loop_ended, self.kept = {}, {}, False, {}

    @property
    def silent(self) -> bool:
        """Whether its engine gives nobody a token, while its server answers."""
        no_step = {"hang", "spin", "kill_engine"} & self.faults.keys()  # of the last only the signal that stops stays
        return bool(no_step) or self.loop_ended or self.places == 0

    def effect(self, *, stream: bool) -> Effect:
        """What its own faults do to a user's request that it answers."""
        if stream and "truncate_stream" in self.faults:
            return Effect(Outcome.TRUNCATED)
        return Effect(Outcome.DEADLINE_MISSED) if stream and "stall_stream" in self.faults else Effect()
