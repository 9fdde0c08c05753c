"""Nothing that a model folder holds is ever run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from target_service.model.loading import BadModelError, LoadOptions, load
from target_service.model.safety import danger_of

TARGET = Path(__file__).parents[3] / "target_service"


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_folder_that_names_code_to_run_is_refused_before_anything_is_loaded(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"auto_map": {"AutoModelForCausalLM": "evil.Model"}}')
    (tmp_path / "evil.py").write_text("raise SystemExit(3)")
    with pytest.raises(BadModelError, match=rf"^safety: {name} names code to run \(auto_map\).*remove the key"):
        load(LoadOptions(tmp_path))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth"])
def test_pickled_weights_are_refused_and_never_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text("{}")
    # os.system("exit"), as a pickle: were it opened, this would be no BadModelError.
    (tmp_path / name).write_bytes(b"cposix\n_exit\n(I3\ntR.")
    with pytest.raises(BadModelError, match=rf"^safety: {name} is a pickle.*convert the weights to model.safetensors"):
        load(LoadOptions(tmp_path))


def test_a_pickle_beside_safetensors_is_nobodys_business(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "training_args.bin").touch()
    (tmp_path / "notes.json").write_text("[")
    assert danger_of(tmp_path) is None


def test_the_target_never_unpickles_never_trusts_remote_code_and_never_evaluates_text() -> None:
    for path in sorted(TARGET.rglob("*.py")):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "dill", "joblib", "marshal", "shelve"}, path
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"eval", "exec", "torch.load", "__import__"}, f"{path}: {called}"
        assert not re.search(r"trust_remote_code\s*=\s*True", text), path
        for call in re.findall(r"from_pretrained\(([^()]*)\)", text):
            assert "trust_remote_code=False" in call, f"{path}: {call}"
            assert "local_files_only=True" in call, f"{path}: {call}"
