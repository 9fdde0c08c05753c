from __future__ import annotations

from pathlib import Path

import pytest

from harness.model.errors import StackError
from harness.stack.reference.model_source import check_model, copy_model, golden_prompts, pristine_params_sha256


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("config.json", "config.json: missing"),
        ("model.safetensors", "holds no weights"),
        ("golden.json", "golden answers cannot be read"),
    ],
)
def test_what_is_missing_is_named_with_the_remedy(stub_model: Path, missing: str, sentence: str) -> None:
    check_model(stub_model)
    (stub_model / missing).unlink()
    with pytest.raises(StackError, match=rf"(?s){sentence}.*python -m target_service.build_model"):
        check_model(stub_model)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="absent: there is no model folder"):
        check_model(tmp_path / "absent")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"tasks": {"chat": []}}', '{"tasks": {"chat": [{}]}}'])
def test_damaged_golden_answers_are_refused(stub_model: Path, text: str) -> None:
    (stub_model / "golden.json").write_text(text)
    with pytest.raises(StackError, match=r"golden\.json"):
        golden_prompts(stub_model)


def test_prompts_come_with_their_golden_answers(stub_model: Path) -> None:
    (prompt,) = golden_prompts(stub_model)["chat"]
    assert (prompt.messages[0]["content"], prompt.max_tokens, prompt.answer) == ("hi", 4, "hello")
    assert len(pristine_params_sha256(stub_model) or "") == 64


def test_a_copy_shares_nothing_with_its_source_and_is_readable_by_all(stub_model: Path, tmp_path: Path) -> None:
    weights = stub_model / "model.safetensors"
    weights.chmod(0o600)
    (stub_model / "linked.safetensors").symlink_to(weights)
    copy_model(stub_model, tmp_path / "copy")
    copied = tmp_path / "copy" / "model.safetensors"
    assert copied.stat().st_ino != weights.stat().st_ino
    assert copied.stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "copy" / "linked.safetensors").is_symlink()
    copied.write_bytes(b"damaged")
    assert weights.read_bytes() != b"damaged"
