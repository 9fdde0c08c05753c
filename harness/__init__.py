"""Chaos testing and reliability validation for AI inference services.

scenario -> plan -> history -> verdict -> report: each arrow is one function, each noun a file in the run's folder.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
