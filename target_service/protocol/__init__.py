"""What replicas and gateway say on the wire; standard library only (aiohttp in `web`)."""
