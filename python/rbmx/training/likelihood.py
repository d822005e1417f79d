"""The log-likelihood of every epoch, with an interval, at a few per cent of the time of training."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rbmx.arguments import whole_number
from rbmx.backends import Rows, backend_for
from rbmx.likelihood import Estimate, ais_log_partition, log_partition
from rbmx.params import RBMParams
from rbmx.rng import Key, Purpose
from rbmx.training.callbacks import Callback
from rbmx.training.history import EpochRecord
from rbmx.training.measuring import VALIDATION_ROWS, first_rows

if TYPE_CHECKING:
    from rbmx.training.trainer import Trainer

__all__ = ["LikelihoodCheck", "LikelihoodMonitor"]

EXACT_UNITS = 16  # of the smaller side: enumerating them takes a hundredth of a second


@dataclass(frozen=True)
class LikelihoodCheck:
    """One check: after which epoch, log Z and the mean log-likelihood with their intervals, and what it cost."""

    epoch: int
    log_partition: Estimate
    log_likelihood: Estimate
    seconds: float


class LikelihoodMonitor(Callback):
    """Mean log p(v) of some rows after every epoch, also as log_likelihood of the epoch's record.

    log Z is enumerated where a Bernoulli side has at most 16 units. Elsewhere a short AIS run from independent units
    finds it anew each time, so no error is carried from epoch to epoch: few chains, over as many temperatures as the
    time allows, whose log weights are nearly normal (rbmx.likelihood.estimate.lognormal_mean). The interval is that of
    log Z at 99 %, for these very rows; like any AIS it says nothing of modes that no chain has met.

    Args:
        data: rows to score, as in rbmx.train; None: those whose free energy the trainer measures anyway, of
            `validation` where it is given, else of the first training rows (TrainConfig.monitor_rows). Missing entries
            of those are filled in by a sample first: give complete rows for the likelihood of what was observed.
        every: epochs from check to check.
        chains, temperatures: of AIS; the interval narrows with the root of their product.

    Attributes:
        checks: the LikelihoodChecks so far. Noise belongs to the seed of the run and the epoch.
    """

    def __init__(self, data: Any = None, *, every: int = 1, chains: int = 16, temperatures: int = 140) -> None:
        for name, value, least in (("every", every, 1), ("chains", chains, 8), ("temperatures", temperatures, 2)):
            if whole_number(name, value) < least:
                raise ValueError(f"{name}: expected {least} or more, got {value}")
        self.data, self.every, self.chains, self.temperatures = data, every, chains, temperatures
        self.checks: list[LikelihoodCheck] = []
        self._rows: Rows | None = None

    measures_likelihood = True

    def on_train_start(self, trainer: Trainer) -> None:
        """Hold the rows.

        Raises:
            ValueError: visible units are counts, or the rows are no data of this machine.
        """
        if trainer.params.visible == "counts":
            raise ValueError(
                "LikelihoodMonitor: counts have a log Z for each total of a row, too many to follow every epoch; "
                "rbmx.likelihood.exact.log_likelihood(params, rows) has them for at most 24 hidden units"
            )
        if self.data is not None:
            self._rows = first_rows(trainer.open(self.data, missing=False), VALIDATION_ROWS)

    def on_epoch_end(self, trainer: Trainer, record: EpochRecord) -> None:
        """Check, and put the result into the record."""
        if record.epoch % self.every != 0:
            return
        started = time.perf_counter()
        key = Key(trainer.config.seed).fold_in(Purpose.LIKELIHOOD).fold_in(record.epoch)
        log_z = self._log_partition(trainer.params, key)
        found = log_z.log_likelihood(self._free_energy(trainer.params, record))
        self.checks.append(LikelihoodCheck(record.epoch, log_z, found, time.perf_counter() - started))
        trainer.history[-1] = replace(
            record, log_likelihood=found.value, log_likelihood_low=found.low, log_likelihood_high=found.high
        )

    def _log_partition(self, params: RBMParams, key: Key) -> Estimate:
        sides = ((params.n_hidden, params.hidden), (params.n_visible, params.visible))
        if any(unit == "bernoulli" and n <= EXACT_UNITS for n, unit in sides):
            return log_partition(params)
        return ais_log_partition(params, temperatures=self.temperatures, chains=self.chains, key=key, lognormal=True)

    def _free_energy(self, params: RBMParams, record: EpochRecord) -> float:
        if self._rows is not None:
            return float(np.mean(backend_for(params).free_energy(params, self._rows)))
        return record.free_energy if record.validation_free_energy is None else record.validation_free_energy
