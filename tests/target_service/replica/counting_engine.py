"""An engine's process with a decoder that needs no network: all of the real one but the model."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from target_service.model.loading import BadModelError
from target_service.replica.engine import Engine
from target_service.replica.engine_child import main
from target_service.replica.faults import Faults
from target_service.replica.settings import ReplicaSettings
from target_service.replica.state import Serving
from tests.target_service.replica.spelling import Counting


@dataclass
class Held:
    """A model of which a digest can be told; `bad` is what verifying it again finds."""

    bad: str | None = None
    versions: Mapping[str, str] = field(default_factory=lambda: {"torch": "none"})

    def digests_now(self) -> Mapping[str, str]:
        return {"params_sha256": "d1ge57"}

    async def digests(self) -> Mapping[str, str]:
        return self.digests_now()

    def recheck(self) -> None:
        if self.bad is not None:
            raise BadModelError(self.bad)


def start(settings: ReplicaSettings, faults: Faults) -> Serving:
    """As `start_serving`: after the load's time, refused when the model is named so."""
    time.sleep(settings.slow_load_s)
    if settings.model.name == "bad":
        raise BadModelError("manifest: it is bad")
    engine = Engine(Counting(), settings.engine, disturbance=faults)
    engine.start()
    held = Held()
    return Serving(engine, held, True, "all is right", 0.1, held.recheck)


if __name__ == "__main__":
    code = main(sys.argv[1:], start)
    sys.stderr.flush()
    os._exit(code)
