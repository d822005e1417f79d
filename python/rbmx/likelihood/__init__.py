"""How probable data are under a model."""

from __future__ import annotations

from rbmx.likelihood.estimate import Estimate
from rbmx.likelihood.exact import log_likelihood, log_partition
from rbmx.likelihood.pseudolikelihood import pseudo_log_likelihood

__all__ = ["Estimate", "log_likelihood", "log_partition", "pseudo_log_likelihood"]
