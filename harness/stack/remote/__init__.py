"""The reference target as a compose project on an engine of another host, whose API is the only way there."""
