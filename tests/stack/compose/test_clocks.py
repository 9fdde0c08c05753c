"""The override file of a run, as it lies in its folder."""

from __future__ import annotations

from pathlib import Path

from harness.model.capability import Capability
from harness.stack.base import RunContext
from harness.stack.compose.clocks import with_clocks
from harness.stack.containers.project import Owner, override
from harness.stack.reference.settings import Ports

PORTS = Ports({"primary": 1, "standby": 2}, 3, {"gateway": 4, "primary": 5, "standby": 6}, 7)


def test_only_the_replica_whose_faults_need_it_has_a_clock_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    run = RunContext("run", tmp_path, 0.0, needs={"standby": frozenset({Capability.CLOCK, Capability.RESOURCES})})
    models = {name: tmp_path / name for name in ("primary", "standby", "gateway")}
    services = with_clocks(override(run, Owner(1, 1), PORTS, models), run)["services"]
    with_clock = [name for name, service in services.items() if "LD_PRELOAD" in service["environment"]]
    assert with_clock == ["standby"]
    mounts = {volume["target"]: volume["source"] for volume in services["standby"]["volumes"]}
    assert (Path(mounts["/clock"]) / "offset").read_text() == "+0\n"
    assert mounts["/model"] == str(tmp_path / "standby")
