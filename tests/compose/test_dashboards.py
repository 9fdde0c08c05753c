"""The Grafana dashboards: sound as files, provisioned, and every query of them finds something in a real Prometheus.

Grafana itself is not run: CI has no registry to take its image from, and Debian has no package of it. What is held here
is what a dashboard's file says: its shape as far as Grafana's documentation gives it, and its queries.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.monitor.reader import PrometheusReader
from harness.record.clock import SystemClock
from harness.stack.base import RunContext
from harness.stack.local.prometheus import LocalPrometheus
from tests.compose.exposition import exposed

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "compose" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
PROGRAM = shutil.which("prometheus") or ""
PANELS = {"timeseries", "state-timeline", "stat"}
WINDOW = "10s"  # what Grafana puts in for $__rate_interval; four scrapes at the least


def dashboard(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def queries(path: Path) -> Iterator[tuple[str, str]]:
    """(where it stands, PromQL)."""
    board = dashboard(path)
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield f"{path.name}: {panel['title']}", target["expr"].replace("$__rate_interval", WINDOW)
    for note in board["annotations"]["list"]:
        yield f"{path.name}: annotation {note['name']}", note["expr"]


ALL = [query for path in FILES for query in queries(path)]


def test_there_is_an_overview_a_recovery_and_an_integrity_dashboard_each_with_an_id_of_its_own() -> None:
    assert [path.stem for path in FILES] == ["model-integrity", "overview", "recovery"]
    ids = [dashboard(path)["uid"] for path in FILES]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-z-]{1,40}", one) for one in ids)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_panel_says_what_it_shows_has_a_query_and_takes_the_datasource_that_is_chosen(path: Path) -> None:
    board = dashboard(path)
    (chosen,) = [one for one in board["templating"]["list"] if one["type"] == "datasource"]
    wanted = {"type": "prometheus", "uid": f"${{{chosen['name']}}}"}
    panels = board["panels"]
    numbers = [panel["id"] for panel in panels]
    assert len(set(numbers)) == len(numbers) >= 8
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["type"] in PANELS and panel["title"] and panel["description"] and panel["targets"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == wanted
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        for target in panel["targets"]:
            assert target["datasource"] == wanted and target["expr"] and target["legendFormat"]
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24 and not cells & taken, f"{panel['title']} lies on another"
        taken |= cells
    assert all(note["datasource"] == wanted for note in board["annotations"]["list"])


def test_grafana_is_provisioned_with_the_prometheus_of_the_same_project_and_these_files() -> None:
    compose = yaml.safe_load((ROOT / "compose" / "compose.yaml").read_text())
    grafana, prometheus = compose["services"]["grafana"], compose["services"]["prometheus"]
    assert grafana["profiles"] == ["grafana"] and "grafana" in prometheus["profiles"]
    assert re.search(r":-grafana/grafana:\d+\.\d+\.\d+\}$", grafana["image"]), "pinned"
    assert all(port.startswith("127.0.0.1:") for port in grafana["ports"])
    mounts = dict(volume.rsplit(":", 1)[0].split(":") for volume in grafana["volumes"])
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/harness.yaml").read_text())["providers"]
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (GRAFANA / "dashboards" / Path(home).name).exists() and home.startswith(provider["options"]["path"])
    assert grafana["networks"] == prometheus["networks"]


@pytest.mark.process
@pytest.mark.skipif(not PROGRAM, reason="needs prometheus")
def test_every_query_finds_something_in_a_prometheus_that_scrapes_the_target_and_a_wrong_name_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stack").mkdir()
    clock = SystemClock()
    prometheus = LocalPrometheus(PROGRAM, RunContext("dashboards-test", tmp_path, clock.now()), clock)
    with exposed(monkeypatch) as sources:
        prometheus.start(sources)
        reader = PrometheusReader(prometheus.url, 5.0)
        try:
            left, until_s = ALL, clock.now() + 40
            while left and clock.now() < until_s:
                time.sleep(0.5)
                if reader.ready() is None:
                    left = [one for one in left if not found(reader, one[1], clock.wall_s())]
            assert not left, "no series for: " + "; ".join(f"{where}: {query}" for where, query in left)
            for _, query in ALL:
                wrong = re.sub(r"\b(gateway|target|process)([_:])", r"\1x\2", query)
                assert wrong == query or not found(reader, wrong, clock.wall_s()), wrong
        finally:
            reader.close()
            prometheus.end()


def found(reader: PrometheusReader, query: str, at_s: float) -> bool:
    """Whether it has a number; what is asked for and is none (NaN) is nothing."""
    return any(not math.isnan(value) for one in reader.instant(query, at_s) for value in one.value)
