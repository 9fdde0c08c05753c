"""Keys and tokens from files."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from target_service.protocol.secret import Secrets, bearer, read_secrets

FIRST, SECOND = "first-key-of-sixteen", "second-key-of-sixteen"


def test_a_file_has_a_secret_a_line_and_may_have_comments(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of the night shift\n{FIRST}\n\n  {SECOND}  \n")
    assert read_secrets(file, "--api-keys-file") == (FIRST, SECOND)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        (b"# none\n\n", "no line with a secret"),
        (b"short\n", "line 1: needs at least 16"),
        (b"ok-ok-ok-ok-ok-ok\ntwo words that are long\n", "line 2: needs"),
        ("ключключключключключ".encode(), "not ASCII"),
    ],
)
def test_a_file_without_usable_secrets_is_refused_with_option_file_and_line(
    content: bytes | None, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=problem) as raised:
        read_secrets(file, "--api-keys-file")
    assert str(raised.value).startswith(f"--api-keys-file: {file}")
    assert "words" not in str(raised.value)


def test_only_the_whole_secret_is_known() -> None:
    secrets = Secrets([FIRST, SECOND])
    assert secrets.knows(FIRST)
    assert secrets.knows(SECOND)
    for wrong in ("", FIRST[:-1], FIRST + "x", FIRST.upper(), "\udcff"):
        assert not secrets.knows(wrong)


def test_no_dump_of_secrets_shows_one() -> None:
    assert FIRST not in repr(vars(Secrets([FIRST])))


@pytest.mark.parametrize(
    ("header", "expected"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", ""), ("abc", ""), ("Bearer", ""), (None, None)],
)
def test_a_key_comes_as_a_bearer_token(header: str | None, expected: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert bearer(make_mocked_request("GET", "/", headers=headers)) == expected
