"""What every test can ask for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent

# `make check` looks at few examples and is fast, `make test` at many.
hypothesis.settings.register_profile("few", max_examples=15, deadline=None)
hypothesis.settings.register_profile("many", max_examples=150, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "few"))


@pytest.fixture(autouse=True)
def _own_state_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Live runs of the user's machine are none of the tests' business."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model: the one that HARNESS_TEST_MODEL names, or built for this session."""
    given = os.environ.get("HARNESS_TEST_MODEL")
    if given:
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("build") / "model"
    subprocess.run([sys.executable, "-m", "target_service.build_model", str(folder)], check=True, cwd=ROOT)
    return folder


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where every capability is there, a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("HARNESS_NO_SKIPS"):
        reporter.write_line(f"{len(skipped)} tests were skipped, which HARNESS_NO_SKIPS forbids", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
