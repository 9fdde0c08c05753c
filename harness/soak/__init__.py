"""Thirty days in a night: what was measured in hours, projected, simulated and compared over nights."""
