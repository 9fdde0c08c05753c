"""Image and text in, one token per step out: Qwen2.5-VL behind the same `Decoder` as the text models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from target_service.model.decoding import TorchDecoder, TorchGeneration, stepped
from target_service.protocol.chat import Message, Sampling
from target_service.protocol.errors import RequestRejectedError
from target_service.vision.images import decode_image, image_size, unwrap
from target_service.vision.pixels import Patches, Preprocessing, patches_of, smart_resize

__all__ = ["VisionDecoder"]

PARAM = "messages"


class VisionDecoder(TorchDecoder):
    """A Qwen2.5-VL, its tokenizer and its pre-processing. Use it from one thread only."""

    def __init__(self, network: Any, tokenizer: Any, how: Preprocessing, *, check_length: bool = True) -> None:
        super().__init__(network, tokenizer, check_length=check_length)
        self.how = how
        self.image_token = int(network.config.image_token_id)

    def begin(self, messages: Sequence[Message], sampling: Sampling) -> VisionGeneration:
        """Unpack and cut the images, put their tokens into the prompt, check the length."""
        patches = [self._patches(image) for message in messages for image in message.images]
        ids = self._expanded(self.tokenized([_turn(message) for message in messages]), patches)
        self.check_fits(ids)
        return VisionGeneration(self, ids, sampling, patches)

    def step_together(self, generations: Sequence[TorchGeneration]) -> list[int | Exception]:
        """One after the other: each has positions of its own, which shared passes do not know."""
        return [stepped(generation) for generation in generations]

    def _patches(self, image: str) -> Patches:
        data = unwrap(image, PARAM)
        width, height = image_size(data, PARAM)
        try:
            new_height, new_width = smart_resize(height, width, self.how)
        except ValueError as error:
            raise RequestRejectedError(
                422, f"The image is too long: {error}.", param=PARAM, code="bad_image"
            ) from error
        return patches_of(decode_image(data, (new_width, new_height), PARAM), self.how)

    def _expanded(self, ids: list[int], patches: Sequence[Patches]) -> list[int]:
        """The prompt with as many image tokens for each image as it has merged patches."""
        if ids.count(self.image_token) != len(patches):
            raise RequestRejectedError(400, "The text must not contain the model's image token.", param=PARAM)
        upcoming = iter(patches)
        expanded: list[int] = []
        for token in ids:
            times = next(upcoming).tokens(self.how.merge) if token == self.image_token else 1
            expanded += [token] * times
        return expanded


class VisionGeneration(TorchGeneration):
    """One KV cache, its positions, and the images until they are seen."""

    def __init__(self, decoder: VisionDecoder, ids: list[int], sampling: Sampling, patches: Sequence[Patches]) -> None:
        import numpy as np
        import torch

        super().__init__(decoder, ids, sampling)
        self._network = decoder.network
        tokens = torch.tensor([ids])
        if not patches:
            self._images: dict[str, Any] = {}
            self._positions = torch.arange(len(ids)).expand(3, 1, -1)
            return
        grids = torch.tensor([each.grid_thw for each in patches])
        values = torch.from_numpy(np.concatenate([each.values for each in patches]))
        self._images = {"pixel_values": values, "image_grid_thw": grids}
        # The network would keep what it works out here on itself, where the next generation overwrites it.
        seen = (tokens == decoder.image_token).int()
        self._positions, _ = decoder.network.model.get_rope_index(tokens, seen, image_grid_thw=grids)

    def step(self) -> int:
        """One forward pass: images and prompt the first time, one token after that."""
        import torch

        with torch.inference_mode():
            out = self._network(
                input_ids=torch.tensor([self.context if self._cache is None else self.context[-1:]]),
                position_ids=self._positions,
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=1,
                **self._images,
            )
            self._cache = out.past_key_values
            self._images = {}
            self._positions = (self._positions.max() + 1).expand(3, 1, 1)
            logits = out.logits[0, -1]
            return self.take(logits, int(logits.argmax()))


def _turn(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.content}
    images = [{"type": "image"} for _ in message.images]
    return {"role": message.role, "content": [*images, {"type": "text", "text": message.content}]}
