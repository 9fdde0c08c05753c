"""Somebody else's service: a URL, and the containers that opted in."""
