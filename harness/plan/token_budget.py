"""How many tokens a plan could ask a foreign target for, at most. Pure.

A byte-level tokenizer makes at most one token of a byte, and a chat template adds a few to each message. So the bound
is generous for prompts and exact for answers, which end at max_tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.model.external import External
from harness.model.network_faults import STREAM_FAULTS
from harness.model.plan import Arrivals, Prompt, Task
from harness.model.scenario import Scenario

__all__ = ["tokens_at_most"]

OF_A_MESSAGE = 16  # role, begin and end, as templates write them
BYTES_OF_A_WORD = 6  # of the words that pad a prompt, with the space
RECORDINGS = 2  # of each prompt, and one stream
LOOKS_PER_S = 8  # a pair of looks every 0.25 s, while a fault of the stream is looked for


def tokens_at_most(scenario: Scenario, tasks: tuple[Task, ...], lanes: Sequence[Arrivals], duration_s: float) -> int:
    """Users, warm-up, retries, the recording of the golden answers, the golden probe, and looks at streams."""
    external = scenario.external or External()
    words = scenario.load.prompt_words or 0
    tries = 1 + scenario.load.retries
    found = tries * sum(
        _of(tasks[task].prompts[prompt], words)
        for lane in lanes
        for task, prompt in zip(lane.task, lane.prompt, strict=True)
    )
    prompts = [prompt for task in tasks for prompt in task.prompts]
    dearest = max(_of(prompt, 0) for prompt in prompts)
    found += (RECORDINGS * len(prompts) + 1) * dearest
    found += int((duration_s + scenario.warmup_max_s) / external.golden_every_s + 2) * dearest
    looked_s = sum(fault.lasts_s for fault in scenario.faults if isinstance(fault, STREAM_FAULTS)) * scenario.episodes
    return found + int(looked_s * LOOKS_PER_S) * dearest


def _of(prompt: Prompt, words: int) -> int:
    said = sum(len(message["content"].encode()) + OF_A_MESSAGE for message in prompt.messages)
    return said + words * BYTES_OF_A_WORD + prompt.max_tokens
