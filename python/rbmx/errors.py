"""What can go wrong with data, model files and training, each with a message that says where and what to do."""

from __future__ import annotations

__all__ = ["CheckpointError", "DataError", "DivergedError", "JobError"]


class DataError(ValueError):
    """Bad data: the message names the source, the place, the value and what was expected."""


class CheckpointError(ValueError):
    """A file that is not a usable rbmx model."""


class DivergedError(ArithmeticError):
    """Training left the range of useful numbers; the parameters are those before the last native call."""


class JobError(RuntimeError):
    """A job over shards that failed: the message says on which engine, why, and what is left."""
