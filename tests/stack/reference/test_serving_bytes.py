from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.stack.reference.serving_bytes import Mapping, altered_mapping, mapped_weights, parse_maps, pristine_file

PROGRAM = """
import mmap, sys
file = open(sys.argv[1], "rb")
view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
print("mapped", flush=True)
sys.stdin.read()
"""
CONTENT = bytes(range(251)) * 100  # 25,100 bytes: seven pages, the last one not full


@pytest.fixture
def pristine(tmp_path: Path) -> Path:
    folder = tmp_path / "pristine"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(CONTENT)
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    path = folder / "model.safetensors"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def pid(served: Path) -> Iterator[int]:
    """A process that has mapped the replica's copy."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(served)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mapped\n"
        yield process.pid
        process.kill()


def altered(pid: int, pristine: Path) -> bool:
    mappings = mapped_weights(pid)
    assert mappings
    return altered_mapping(pid, mappings, pristine)


@pytest.mark.process
def test_an_untouched_file_is_served_unaltered(pid: int, pristine: Path) -> None:
    assert not altered(pid, pristine)


@pytest.mark.process
def test_one_bit_flipped_in_place_is_seen_in_the_process(pid: int, served: Path, pristine: Path) -> None:
    with served.open("r+b") as file:
        file.seek(20_000)
        file.write(bytes([CONTENT[20_000] ^ 1]))
    assert altered(pid, pristine)


@pytest.mark.process
def test_a_deleted_file_is_still_served_unaltered(pid: int, served: Path, pristine: Path) -> None:
    served.unlink()
    assert mapped_weights(pid)[0].path.endswith("(deleted)")
    assert not altered(pid, pristine)


@pytest.mark.process
def test_a_damaged_file_put_in_its_place_is_not_what_is_served(pid: int, served: Path, pristine: Path) -> None:
    other = served.with_name("new")
    other.write_bytes(b"\0" * len(CONTENT))
    other.replace(served)
    assert not altered(pid, pristine)


@pytest.mark.process
def test_damage_is_seen_after_the_file_was_moved_away(pid: int, served: Path, pristine: Path) -> None:
    moved = served.parent.parent / "model.safetensors.taken"
    served.rename(moved)
    with moved.open("r+b") as file:
        file.write(b"\xff")
    assert altered(pid, pristine)


@pytest.mark.process
def test_pages_cut_off_by_a_truncation_are_altered_and_reading_them_is_survived(
    pid: int, served: Path, pristine: Path
) -> None:
    with served.open("r+b") as file:
        file.truncate(8192)
    assert altered(pid, pristine)


@pytest.mark.process
def test_a_process_that_has_gone_is_not_taken_for_an_altered_one(pid: int, pristine: Path) -> None:
    mappings = mapped_weights(pid)
    with pytest.raises(ProcessLookupError):
        altered_mapping(2**22 + 1, mappings, pristine)
    assert mapped_weights(2**22 + 1) == []


def test_only_mappings_of_files_are_read() -> None:
    text = (
        "7f00-8f00 r--p 00001000 fd:01 42   /a b/model.safetensors (deleted)\n"
        "7ffc-7ffd rw-p 00000000 00:00 0    [stack]\n"
        "7ffd-7ffe rw-p 00000000 00:00 0\n"
    )
    assert parse_maps(text) == [Mapping(0x7F00, 0x8F00, 0x1000, "/a b/model.safetensors (deleted)")]


def test_the_pristine_file_is_found_by_name_whatever_was_appended_to_it(tmp_path: Path) -> None:
    for name in ("model.safetensors", "model-00002-of-00002.safetensors"):
        (tmp_path / name).write_bytes(b"")
    assert pristine_file("/x/model.safetensors (deleted)", tmp_path) == tmp_path / "model.safetensors"
    assert (
        pristine_file("/x/model-00002-of-00002.safetensors", tmp_path) == tmp_path / "model-00002-of-00002.safetensors"
    )
    assert pristine_file("/x/other.safetensors", tmp_path) is None
