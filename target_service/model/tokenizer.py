"""The tiny models' own tokenizers: byte-level BPE in which every known word is one token."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from target_service.data import chat, sentiment

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["CHAT_TEMPLATE", "END", "PAD", "START", "byte_pairs", "train_tokenizer"]

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\n" + chat.SYSTEM + "<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def _corpus(seed: int) -> list[str]:
    rng = random.Random(seed)
    known = sentiment.vocabulary()
    sentences = [sentiment.generate(rng).text for _ in range(3000)]
    facts = [part for fact in chat.FACTS for part in fact] * 100
    # A leading space joins the word's token in byte-level BPE, so both forms are taught.
    words = [form for word in known for form in (word, " " + word)] * 20
    roles = ["system\n", "user\n", "assistant\n", chat.SYSTEM] * 20
    return [*words, *sentences, *facts, *roles, "positive", "negative"]


def train_tokenizer(vocabulary: int, seed: int) -> PreTrainedTokenizerFast:
    """Train on the package's own text; `vocabulary` is the largest number of tokens."""
    return byte_pairs(_corpus(seed), vocabulary, (PAD, START, END), CHAT_TEMPLATE)


def byte_pairs(
    corpus: Sequence[str], vocabulary: int, special: Sequence[str], chat_template: str
) -> PreTrainedTokenizerFast:
    """Train on a corpus; `special` tokens come first, PAD and END among them."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(corpus, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=PAD, eos_token=END, clean_up_tokenization_spaces=False
    )
    fast.chat_template = chat_template
    return fast
