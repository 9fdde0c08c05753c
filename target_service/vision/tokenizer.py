"""The grounding model's tokenizer: byte-level BPE in which every known word and every coordinate is one token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_service.data.shapes import COLOURS, GENERIC, QUESTIONS, SHAPES, SIZE_PX
from target_service.model.tokenizer import END, PAD, START, byte_pairs

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["COORDINATES", "IMAGE", "STEP_PX", "VIDEO", "VISION_END", "VISION_START", "train_tokenizer"]

# As Qwen2.5-VL calls them.
VISION_START, VISION_END, IMAGE, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
STEP_PX = 2
COORDINATES = tuple(str(at) for at in range(0, SIZE_PX + 1, STEP_PX))
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def _corpus() -> list[str]:
    questions = [q.format(c=c, s=s) for q in QUESTIONS for c in COLOURS for s in (*SHAPES, *GENERIC)]
    boxes = [f"({x},{y}),({y},{x})" for x in COORDINATES for y in COORDINATES]
    return [*questions * 5, *boxes * 2, *["user\n", "assistant\n", "none"] * 200]


def train_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Train on every question and box there is; `vocabulary` is the largest number of tokens."""
    special = (PAD, START, END, VISION_START, VISION_END, IMAGE, VIDEO)
    return byte_pairs(_corpus(), vocabulary, special, CHAT_TEMPLATE)
