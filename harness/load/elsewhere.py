"""The load on another host, in a container beside the target: the same driver, child and log, carried by the engine.

The child's times are its own host's; what it is told is put on that clock, so its log has the run's zero as always. Its
log is followed as it grows, and is the file that every reader of the run's folder knows.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.load.driver import LoadDriver
from harness.load.processes import Helper
from harness.load.progress import Progress
from harness.load.spec import LoadSpec
from harness.model.errors import StackError
from harness.record.clock import Clock
from harness.stack.load_place import LoadPlace

__all__ = ["DriverElsewhere"]

SPEC, LOG = "load.json", "requests.log"
HAND_OVER_S = 30.0
REST_S = 5.0  # for the last lines of the log
LOOK_S = 0.02


class DriverElsewhere(LoadDriver):
    """`place`: where the child runs."""

    def __init__(  # noqa: PLR0913  the driver's own, and one more
        self,
        spec: LoadSpec,
        folder: Path,
        clock: Clock,
        env: Mapping[str, str],
        place: LoadPlace,
        *,
        keep_s: float = 60.0,
    ) -> None:
        super().__init__(spec, folder, clock, env, keep_s=keep_s)
        self._place = place
        self._follower: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Hand over the spec, launch the child, and follow its log. Raises StackError."""
        place, log = self._place, f"{self._place.folder}/{LOG}"
        origin_s = self._spec.origin_monotonic_s + place.offset_s
        spec = replace(self._spec, base_url=place.base_url, log_path=log, origin_monotonic_s=origin_s)
        (self._folder / "load.json").write_text(spec.to_json(), encoding="utf-8")
        self._hand_over(spec.to_json())
        errors = self._folder / "load.log"
        self._child = Helper(
            [*place.inside, "python3", "-m", "harness.load.hosted", self._spec_there], self._env, errors
        )
        with Path(self._spec.log_path).open("ab") as copy, errors.open("ab") as said:
            self._follower = subprocess.Popen(
                [*place.inside, "tail", "-c", "+1", "-s", "0.1", "-F", log],
                stdin=subprocess.DEVNULL,
                stdout=copy,
                stderr=said,
                env=dict(self._env),
                start_new_session=True,
            )

    def begin(self, lane: str, at_monotonic_s: float) -> bool:
        return super().begin(lane, at_monotonic_s + self._place.offset_s)

    def stop(self, grace_s: float) -> Progress:
        if self._child is not None and not self._stopped:
            self._end_child(grace_s)
            give_up_s = self._clock.now() + REST_S
            while not self._progress.add(self._tail.read()).stopped and self._clock.now() < give_up_s:
                if not self._asked_to_stop or self._child.returncode != 0:
                    break  # it did not end in good order, so its log does not, either
                self._clock.sleep(LOOK_S)
        self.close()
        return self._progress.add(self._tail.read())

    def close(self) -> None:
        super().close()
        if self._follower is not None:
            self._follower.kill()
            self._follower.wait()
            self._follower = None

    @property
    def _spec_there(self) -> str:
        return f"{self._place.folder}/{SPEC}"

    def _hand_over(self, spec: str) -> None:
        try:
            done = subprocess.run(
                [*self._place.inside, "sh", "-c", f"cat >{shlex.quote(self._spec_there)}"],
                input=spec.encode(),
                capture_output=True,
                env=dict(self._env),
                timeout=HAND_OVER_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StackError(f"the load's container did not take its orders within {HAND_OVER_S:g} s") from error
        if done.returncode != 0:
            words = done.stderr.decode(errors="replace").strip() or "it wrote nothing"
            raise StackError(f"the load's container did not take its orders: {words[-200:]}")
