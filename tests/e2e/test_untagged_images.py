"""What a build leaves without a name is removed, if it is ours and nobody uses it."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator

import pytest

from harness.stack.compose.images import OURS, remove_untagged
from tests.e2e.test_compose import MISSING

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]
NAME = "reliability-harness/test-of-names:now"


def docker(*words: str, data: bytes = b"") -> str:
    return subprocess.run(["docker", *words], input=data, capture_output=True, check=True).stdout.decode().strip()


def made(text: str, label: str) -> str:
    """An image under NAME; whoever had the name before has none now."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("text")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text.encode()))
    return docker("import", "--change", f"LABEL {label}", "-", NAME, data=archive.getvalue())


def there(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0


@pytest.fixture
def images() -> Iterator[dict[str, str]]:
    """Somebody else's, one in use, one that is of no use any more, and the one that has the name."""
    labels = {"theirs": "somebody=else", "used": f"{OURS}=test", "old": f"{OURS}=test", "new": f"{OURS}=test"}
    found = {}
    container = ""
    try:
        for name, label in labels.items():
            found[name] = made(name, label)
            if name == "used":
                container = docker("create", found[name], "nothing")
        yield found
    finally:
        if container:
            docker("rm", "--force", container)
        subprocess.run(["docker", "rmi", *found.values()], capture_output=True, check=False)


def test_only_what_is_ours_has_no_name_and_is_used_by_nobody_is_removed(images: dict[str, str]) -> None:
    assert all(there(one) for one in images.values())
    remove_untagged(shutil.which("docker") or "docker")
    assert {name: there(one) for name, one in images.items()} == {
        "theirs": True,
        "used": True,
        "old": False,
        "new": True,
    }
