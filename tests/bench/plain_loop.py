"""The model in a bare process: `python -m tests.bench.plain_loop MODEL TOKENS`, ends with its stdin.

First it prints, as JSON, what it is asked and what it answers. Then each line with a number of seconds is one answer:
how many requests it did in them, one after the other with a KV cache each, and how long that took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from target_service.model.decoding import TorchDecoder
from target_service.model.golden import GOLDEN, read_golden
from target_service.model.loading import LoadOptions, load, stay_offline
from target_service.protocol.chat import parse_chat

_PROMPTS = 32


def _answer(decoder: TorchDecoder, body: dict[str, Any]) -> str:
    request = parse_chat(body, "")
    generation = decoder.begin(request.messages, request.sampling)
    tokens = [generation.step() for _ in range(request.sampling.max_tokens)]
    return generation.text_of(tokens)


def main(model: Path, tokens: int) -> None:
    stay_offline()
    golden = read_golden(model / GOLDEN)
    assert golden is not None
    rotation = golden.rotation()
    sampling = {"max_tokens": tokens, "ignore_eos": True, "temperature": 0}
    bodies = [{"messages": list(next(rotation).messages), **sampling} for _ in range(_PROMPTS)]
    decoder = load(LoadOptions(model, disable_mmap=True)).decoder
    print(json.dumps([{"body": body, "answer": _answer(decoder, body)} for body in bodies]), flush=True)
    for line in sys.stdin:
        begin_s, count = time.monotonic(), 0
        while time.monotonic() < begin_s + float(line):
            _answer(decoder, bodies[count % len(bodies)])
            count += 1
        print(json.dumps({"requests": count, "seconds": time.monotonic() - begin_s}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
