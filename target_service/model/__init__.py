"""The tiny model: how it is made, proven, loaded and run. The only home of torch and transformers."""
