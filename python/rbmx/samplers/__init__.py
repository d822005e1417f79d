"""Where the negative phase comes from, one sampler per file."""

from __future__ import annotations

from rbmx.samplers.base import Sampler, sampler_from
from rbmx.samplers.contrastive_divergence import CD
from rbmx.samplers.persistent import PCD

__all__ = ["CD", "PCD", "Sampler", "sampler_from"]
