"""Load a model folder: from disk only, safetensors only, never code from the folder."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from target_service.model.compatibility import installed, unmet
from target_service.model.decoding import TorchDecoder
from target_service.model.folder import BadFolderError, read_config
from target_service.model.imports import lean_imports
from target_service.model.safety import danger_of

__all__ = ["BadModelError", "LoadOptions", "Loaded", "load", "params_sha256", "parts_sha256", "stay_offline"]


class BadModelError(Exception):
    """The model cannot be served; the message begins with the detector that fired."""


@dataclass(frozen=True)
class LoadOptions:
    """How to load. With `disable_mmap` off, parameters stay live views of model.safetensors."""

    folder: Path
    dtype: str = "auto"
    disable_mmap: bool = False
    threads: int = 1
    check_length: bool = True


@dataclass(frozen=True)
class Loaded:
    """A model that can decode; `complaints` is what loading noticed but did not refuse."""

    decoder: TorchDecoder
    complaints: tuple[str, ...]
    versions: dict[str, str]


def stay_offline() -> None:
    """Keep this process away from any hub; call it before transformers is imported."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def load(options: LoadOptions) -> Loaded:
    """Import torch and transformers and load; raises BadModelError for any kind of broken folder."""
    danger = danger_of(options.folder)
    if danger is not None:
        raise BadModelError(f"safety: {danger}")
    try:
        config = read_config(options.folder)
    except BadFolderError as error:
        raise BadModelError(f"folder: {error}") from error
    with lean_imports():
        return _load(options, config)


def _load(options: LoadOptions, config: dict[str, Any]) -> Loaded:
    import torch
    import transformers

    missing = unmet(config, installed())
    if missing is not None:
        raise BadModelError(f"compatibility: {missing}")
    torch.set_num_threads(options.threads)
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            options.folder, local_files_only=True, trust_remote_code=False
        )
        config = transformers.AutoConfig.from_pretrained(options.folder, local_files_only=True, trust_remote_code=False)
        network, report = _network_class(config).from_pretrained(
            options.folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            low_cpu_mem_usage=True,
            dtype=options.dtype if options.dtype == "auto" else getattr(torch, options.dtype),
            disable_mmap=options.disable_mmap,
            output_loading_info=True,
        )
        decoder = _decoder(options, network.eval(), tokenizer)
    # Measured: a damaged folder raises anything from SafetensorError to a bare Exception.
    except Exception as error:
        raise BadModelError(f"load: {type(error).__name__}: {_one_line(error)}") from error
    versions = {"torch": str(torch.__version__), "transformers": transformers.__version__}
    return Loaded(decoder, _complaints(report), versions)


def _one_line(error: Exception) -> str:
    """Some of transformers' messages are pages; their first 300 characters say what is wrong."""
    words = " ".join(str(error).split())
    return words if len(words) <= 300 else words[:299] + "…"


def _network_class(config: Any) -> Any:
    """Who loads it: models that also see are no causal language models to transformers."""
    import transformers

    sees = hasattr(config, "vision_config")
    return transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM


def _decoder(options: LoadOptions, network: Any, tokenizer: Any) -> TorchDecoder:
    """Qwen2.5-VL is given images; every other model, also one that could see, is given text."""
    if network.config.model_type != "qwen2_5_vl":
        return TorchDecoder(network, tokenizer, check_length=options.check_length)
    from target_service.vision.decoding import VisionDecoder
    from target_service.vision.pixels import read_preprocessing

    how = read_preprocessing(options.folder)
    return VisionDecoder(network, tokenizer, how, check_length=options.check_length)


def _complaints(report: dict[str, Any]) -> tuple[str, ...]:
    kinds = ("missing_keys", "unexpected_keys", "mismatched_keys")
    return tuple(
        f"{kind.replace('_', ' ')}: {', '.join(sorted(str(key) for key in report[kind])[:3])}"
        for kind in kinds
        if report.get(kind)
    )


def non_finite(network: Any) -> list[str]:
    """Names of parameters that hold NaN or infinity."""
    return [name for name, value in network.named_parameters() if not value.isfinite().all()]


def params_sha256(network: Any) -> str:
    """Hash of the parameters' bytes in memory, in the order of their names, as hex."""
    import torch

    digest = hashlib.sha256()
    for _, value in sorted(network.named_parameters()):
        flat = value.detach().contiguous().reshape(-1).view(torch.uint8)
        digest.update(memoryview(flat.numpy()))
    return digest.hexdigest()


def parts_sha256(decoder: TorchDecoder) -> dict[str, str]:
    """Hashes of what was made of the other files: `config` with the generation's, `tokenizer` with its template."""
    network, tokenizer = decoder.network, decoder.tokenizer
    generation = network.generation_config.to_json_string(use_diff=False)
    texts = {
        "config": network.config.to_json_string(use_diff=False) + generation,
        "tokenizer": tokenizer.backend_tokenizer.to_str() + str(tokenizer.chat_template),
    }
    return {part: hashlib.sha256(text.encode()).hexdigest() for part, text in texts.items()}
