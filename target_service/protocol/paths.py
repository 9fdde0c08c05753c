"""Where users ask, beside /v1: what a gateway relays and a replica's service may answer."""

from __future__ import annotations

__all__ = ["GROUND", "GROUND_BATCH", "PREDICT", "USER_PATHS"]

PREDICT = "/predict"
GROUND = "/api/predict"
GROUND_BATCH = "/api/predict/batch"
USER_PATHS = (PREDICT, GROUND, GROUND_BATCH)
