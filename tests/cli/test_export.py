"""A run in the formats of other tools, read back by their own readers."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pyarrow.parquet as pq
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from harness.cli.main import call
from harness.model.history import REQUEST_COLUMNS
from harness.model.verdict import Verdict
from harness.render import from_json
from harness.render.openmetrics import METRICS, to_openmetrics
from harness.session import judge_folder
from tests.fake_run import run_fake
from tests.render.conftest import HOSTILE, SAMPLES

pytestmark = pytest.mark.whole

KILL = "faults: [{kind: process.kill, on: primary, at_s: 1}]\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = run_fake(tmp_path, KILL)
    judge_folder(folder)
    return folder.path


def exported(run: Path, kind: str, out: Path) -> Path:
    assert call(["export", str(run), "--to", kind, "--out", str(out)]) == 0
    return out


def test_csv_and_parquet_have_the_documented_columns_and_every_request(run: Path, tmp_path: Path) -> None:
    whole = pd.read_parquet(run / "requests.parquet")
    csv = pd.read_csv(exported(run, "csv", tmp_path / "r.csv"))
    assert list(csv.columns) == list(REQUEST_COLUMNS)
    assert len(csv) == len(whole)
    assert csv["outcome"].value_counts().to_dict() == whole["outcome"].value_counts().to_dict()
    assert csv["ttft_us"].isna().sum() == whole["ttft_us"].isna().sum() > 0
    schema = pq.read_schema(exported(run, "parquet", tmp_path / "r.parquet"))
    assert {name: schema.field(name).metadata[b"description"].decode() for name in schema.names} == dict(
        REQUEST_COLUMNS
    )
    assert str(schema.field("outcome").type) == "string"


def test_junit_and_markdown_are_those_of_the_folder(run: Path, tmp_path: Path) -> None:
    assert exported(run, "junit", tmp_path / "j.xml").read_text() == (run / "junit.xml").read_text()
    assert exported(run, "markdown", tmp_path / "r.md").read_text() == (run / "report.md").read_text()
    assert ElementTree.parse(tmp_path / "j.xml").getroot().tag == "testsuites"


def test_without_out_the_file_lies_in_the_folder_and_the_requests_of_the_run_stay(run: Path) -> None:
    before = (run / "requests.parquet").read_bytes()
    assert call(["export", str(run), "--to", "parquet"]) == 0
    assert (run / "requests.parquet").read_bytes() == before
    assert call(["export", str(run), "--to", "openmetrics"]) == 0
    assert (run / "metrics.txt").read_text().endswith("# EOF\n")


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_metrics_are_valid_openmetrics_and_valid_prometheus_text(name: str) -> None:
    text = to_openmetrics(SAMPLES[name]())
    families = {family.name: family for family in openmetrics(text)}
    assert set(families) <= set(METRICS)
    for family in families.values():
        assert family.type == "gauge"
        assert family.documentation == METRICS[family.name]
    assert len(list(prometheus(text))) >= 1  # what a Pushgateway reads


def test_the_metrics_say_what_the_verdict_says_and_nothing_that_is_not_known(run: Path) -> None:
    verdict = from_json((run / "verdict.json").read_text())
    values = {
        (s.name, *sorted(s.labels.items())): s.value for f in openmetrics(to_openmetrics(verdict)) for s in f.samples
    }
    common = (("scenario", verdict.scenario), ("stack", verdict.stack))
    assert values["harness_run_lost_requests", *common] == verdict.sli["lost"]
    assert values["harness_run_outcome", ("outcome", verdict.outcome.value), *common] == 1
    low = values["harness_episode_recovery_seconds", ("bound", "low"), ("episode", "1"), *common]
    assert verdict.episodes[0].recovery_s is not None
    assert low == pytest.approx(verdict.episodes[0].recovery_s.low)
    assert not [key for key in values if ("name", "recovery_s_p95") in key]  # not estimable, so absent


def test_hostile_names_stay_inside_their_labels() -> None:
    verdict: Verdict = SAMPLES["hostile"]()
    (sample, *_) = [s for f in openmetrics(to_openmetrics(verdict)) for s in f.samples if "check" in s.labels]
    assert sample.labels["check"] == HOSTILE.replace("\ud800", "?")


def test_what_cannot_be_exported_is_one_sentence(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["export", str(tmp_path / "nowhere"), "--to", "csv"]) == 2
    assert call(["export", str(run), "--to", "csv", "--out", str(tmp_path / "no" / "where.csv")]) == 2
    (run / "verdict.json").write_text("{")
    assert call(["export", str(run), "--to", "junit"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
