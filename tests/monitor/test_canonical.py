"""One name for one quantity, whatever the server calls it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.monitor.canonical import KINDS, PROCESS, QUANTITIES, kind_of, queries


def test_every_kind_speaks_of_known_quantities_only() -> None:
    assert {name for kind in KINDS.values() for name in kind} | set(PROCESS) == set(QUANTITIES)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["up", "vllm:num_requests_running"], "vllm"),
        (["tgi_queue_size"], "tgi"),
        (["sglang:num_running_reqs"], "sglang"),
        (["sglang_num_running_reqs"], "sglang"),
        (["nv_inference_count"], "triton"),
        (["llamacpp:requests_processing"], "llama.cpp"),
        (["target_running", "vllm:num_requests_running"], "target"),
        (["up", "process_open_fds"], None),
    ],
)
def test_a_server_is_known_by_the_names_of_its_metrics(names: list[str], kind: str | None) -> None:
    assert kind_of(names) == kind


def test_a_server_of_no_known_kind_is_still_a_process() -> None:
    assert queries(None) == PROCESS


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_every_query_is_one_that_prometheus_can_read(tmp_path: Path) -> None:
    rules = ["groups:", "- name: all", "  rules:"]
    for kind in KINDS:
        for name, query in queries(kind).items():
            record = re.sub(r"\W", "_", f"{kind}_{name}")
            rules += [f"  - record: {record}", f"    expr: '{query}'"]
    (tmp_path / "rules.yml").write_text("\n".join(rules) + "\n")
    done = subprocess.run(
        ["promtool", "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
