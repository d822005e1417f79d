"""Where the negative phase comes from, one sampler per file."""

from __future__ import annotations

from rbmx.samplers.base import Sampler, sampler_from
from rbmx.samplers.contrastive_divergence import CD
from rbmx.samplers.fast_persistent import FastPCD
from rbmx.samplers.persistent import PCD
from rbmx.samplers.tempering import PT

__all__ = ["CD", "PCD", "PT", "FastPCD", "Sampler", "sampler_from"]
