"""How probable data are under a model."""

from __future__ import annotations

from rbmx.likelihood.ais import ais_log_partition, reverse_ais_log_partition
from rbmx.likelihood.bound import stack_lower_bound
from rbmx.likelihood.estimate import Estimate
from rbmx.likelihood.exact import log_likelihood, log_partition
from rbmx.likelihood.pseudolikelihood import pseudo_log_likelihood

__all__ = [
    "Estimate",
    "ais_log_partition",
    "log_likelihood",
    "log_partition",
    "pseudo_log_likelihood",
    "reverse_ais_log_partition",
    "stack_lower_bound",
]
