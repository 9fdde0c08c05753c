"""What every test can ask for."""

from __future__ import annotations

import os
import ssl
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


@pytest.fixture
def own_authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Certificates that no public authority has signed."""
    folder = tmp_path_factory.mktemp("authority")
    key, certificate = folder / "key.pem", folder / "ca.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model: the one that HARNESS_TEST_MODEL names, or built for this session."""
    return _built("all-in-one", "HARNESS_TEST_MODEL", tmp_path_factory)


@pytest.fixture(scope="session")
def autoglm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reasoning model: the one that HARNESS_TEST_AUTOGLM names, or built for this session."""
    return _built("autoglm", "HARNESS_TEST_AUTOGLM", tmp_path_factory)


@pytest.fixture(scope="session")
def chord_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The grounding model: the one that HARNESS_TEST_CHORD names, or built for this session, which takes minutes."""
    return _built("chord", "HARNESS_TEST_CHORD", tmp_path_factory)


def _built(service: str, variable: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get(variable)
    if given:
        return Path(given).resolve()
    folder = tmp_path_factory.mktemp("build") / "model"
    command = [sys.executable, "-m", "target_service.build_model", str(folder), "--service", service]
    subprocess.run(command, check=True, cwd=ROOT)
    return folder


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where every capability is there, a skipped test is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("HARNESS_NO_SKIPS"):
        reporter.write_line(f"{len(skipped)} tests were skipped, which HARNESS_NO_SKIPS forbids", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
