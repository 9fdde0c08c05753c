"""Images in, boxes out: decoding, pre-processing and the small grounding model. No torchvision."""
