"""Benchmarks that check the answer before the clock: ``python -m rbmx.bench --help``."""

from __future__ import annotations

__all__: list[str] = []
