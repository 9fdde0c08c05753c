"""Whether the replicas are set up alike: what their /ready says of it, compared. No I/O, no clock of its own."""

from __future__ import annotations

from collections.abc import Mapping

from target_service.gateway.admission import Admission
from target_service.gateway.events import EventLog

__all__ = ["Configurations"]


class Configurations:
    """Compares every replica's `config_version` with the first known one's, in order of preference."""

    def __init__(self, admission: Admission, events: EventLog) -> None:
        self._admission = admission
        self._events = events
        self._versions: dict[str, str] = {}
        self._differing: dict[str, tuple[str, str]] = {}

    def note(self, name: str, ready_body: Mapping[str, object]) -> None:
        """A replica's green /ready; one that says nothing of its configuration is not compared."""
        version = ready_body.get("config_version")
        if not isinstance(version, str) or self._versions.get(name) == version:
            return
        self._versions[name] = version
        reference = next(each for each in self._admission.standings if each in self._versions)
        for other in self._admission.standings:
            if other in self._versions and other != reference:
                self._compare(other, reference)
        self._compare(reference, reference)

    def forget(self, name: str) -> None:
        """The replica is no longer one of this gateway's."""
        self._versions.pop(name, None)
        self._differing.pop(name, None)

    def body(self, name: str) -> dict[str, object]:
        """What is known of one replica, as JSON keys; `config_differs` None: not known."""
        version = self._versions.get(name)
        return {"config_version": version, "config_differs": None if version is None else name in self._differing}

    def _compare(self, name: str, reference: str) -> None:
        ours, theirs = self._versions[name], self._versions[reference]
        if ours == theirs:
            if self._differing.pop(name, None) is not None:
                self._events.add("config_same_again", name, config_version=ours)
        elif self._differing.get(name) != (ours, theirs):
            self._differing[name] = (ours, theirs)
            self._events.add("config_differs", name, config_version=ours, of=reference, reference_version=theirs)
