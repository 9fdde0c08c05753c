"""The model in a bare process: `python -m tests.bench.plain_loop MODEL TOKENS`, ends with its stdin.

First it prints, as JSON, what it is asked and what it answers. Then each line, a batch's size and a number of seconds,
is answered by how many requests it did and how long that took. A batch of 1 is the plain loop, one request after the
other with a KV cache each; a larger one shares forward passes, and tells what serving adds to the model.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

from target_service.model.decoding import TorchDecoder, TorchGeneration
from target_service.model.golden import GOLDEN, read_golden
from target_service.model.loading import LoadOptions, load, stay_offline
from target_service.protocol.chat import parse_chat

_PROMPTS = 32


def _begin(decoder: TorchDecoder, body: dict[str, Any]) -> TorchGeneration:
    request = parse_chat(body, "")
    return decoder.begin(request.messages, request.sampling)


def _alone(decoder: TorchDecoder, body: dict[str, Any]) -> str:
    generation = _begin(decoder, body)
    return generation.text_of([generation.step() for _ in range(generation.tokens_max)])


def _together(decoder: TorchDecoder, bodies: list[dict[str, Any]]) -> list[str]:
    generations = [_begin(decoder, body) for body in bodies]
    rounds = [decoder.step_together(generations) for _ in range(generations[0].tokens_max)]
    return [
        one.text_of([token for token in tokens if isinstance(token, int)])
        for one, tokens in zip(generations, zip(*rounds, strict=True), strict=True)
    ]


def main(model: Path, tokens: int) -> None:
    stay_offline()
    golden = read_golden(model / GOLDEN)
    assert golden is not None
    rotation = golden.rotation()
    sampling = {"max_tokens": tokens, "ignore_eos": True, "temperature": 0}
    bodies = [{"messages": list(next(rotation).messages), **sampling} for _ in range(_PROMPTS)]
    decoder = load(LoadOptions(model, disable_mmap=True)).decoder
    print(json.dumps([{"body": body, "answer": _alone(decoder, body)} for body in bodies]), flush=True)
    for line in sys.stdin:
        size, seconds = line.split()
        turn = itertools.cycle(bodies)
        begin_s, count = time.monotonic(), 0
        while time.monotonic() < begin_s + float(seconds):
            batch = list(itertools.islice(turn, int(size)))
            _ = _alone(decoder, batch[0]) if size == "1" else _together(decoder, batch)
            count += len(batch)
        print(json.dumps({"requests": count, "seconds": time.monotonic() - begin_s}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
