"""The half of a deep belief network that trains nothing: means up and down, labels, samples, the likelihood's bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from rbmx.arguments import whole_number
from rbmx.backends import as_array
from rbmx.data.labelled import as_labels, one_hot
from rbmx.likelihood import Estimate
from rbmx.likelihood.bound import stack_lower_bound
from rbmx.rbm import RBM
from rbmx.rng import Key
from rbmx.states import require_states
from rbmx.training.greedy import layer_shapes, open_rows
from rbmx.units import UnitType, unit_type

__all__ = ["RBMStack", "copies", "machines"]

ROWS = 4096  # taken through the layers at a time


class RBMStack(nn.Module):
    """Layers of p(v, h_1 ... h_L) = p(v | h_1) ... p(h_(L-2) | h_(L-1)) p(h_(L-1), h_L).

    Args and attributes: as of rbmx.DBN, which adds training, nets made of it and files.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        units: str | Sequence[str] | None = None,
        n_classes: int | None = None,
        seed: int | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        shapes = layer_shapes(sizes, units, n_classes)
        self.sizes = tuple(whole_number("sizes", size) for size in sizes)
        self.n_classes = None if n_classes is None else int(n_classes)
        self._units = units
        self._seed = None if seed is None else whole_number("seed", seed)
        layers = [
            RBM(
                shape.n_visible,
                shape.n_hidden,
                visible=shape.visible,
                hidden=shape.hidden,
                seed=None if seed is None else Key(seed).fold_in(i).seed,
                device=device,
                dtype=dtype,
            )
            for i, shape in enumerate(shapes)
        ]
        self.layers = nn.ModuleList(layers)
        self.recognition: nn.ModuleList | None = None

    def extra_repr(self) -> str:
        """Sizes and classes."""
        return f"sizes={list(self.sizes)}" + ("" if self.n_classes is None else f", n_classes={self.n_classes}")

    # up and down

    def forward(self, v: Tensor) -> Tensor:
        """E[h_L | ... E[h_1 | v]], (rows, sizes[-1]), differentiable; unknown labels are summed out."""
        return self._top(self._up(v))

    @torch.no_grad()
    def transform(self, v: Any) -> Tensor:
        """The same without gradients: the features of the top layer, (rows, sizes[-1]).

        Args:
            v: a tensor of states or of their means, or what fit takes: arrays, tables, CSR matrices, paths.

        Raises:
            ValueError, DataError: rows of another width, values that are no states, or none.
        """
        return torch.cat([self.forward(part) for part in self._parts(v)])

    @torch.no_grad()
    def inverse_transform(self, h: Any) -> Tensor:
        """E[v | E[h_1 | ... h_L]], (rows, sizes[0]): the means of each level going down."""
        h = self._as_tensor(h)
        if h.ndim < 1 or h.shape[-1] != self.sizes[-1]:
            raise ValueError(f"h: expected (rows, {self.sizes[-1]}), got {tuple(h.shape)}")
        return self._down(self.top.visible_mean(h)[..., : self.sizes[-2]])

    def reconstruct(self, v: Any) -> Tensor:
        """inverse_transform(transform(v)), (rows, sizes[0])."""
        return self.inverse_transform(self.transform(v))

    @property
    def top(self) -> RBM:
        """The RBM on top."""
        return self._machines[-1]

    @property
    def _machines(self) -> list[RBM]:
        return machines(self.layers)

    def _up(self, v: Any) -> Tensor:
        """Means of the units below the top layer, (rows, sizes[-2])."""
        h = self._as_rows(v)
        for layer in self._ways_up:
            h = layer.hidden_mean(h)
        return h

    def _down(self, h: Tensor) -> Tensor:
        for layer in reversed(self._machines[:-1]):
            h = layer.visible_mean(h)
        return h

    @property
    def _ways_up(self) -> Sequence[RBM]:
        return self._machines[:-1] if self.recognition is None else machines(self.recognition)

    def _top(self, h: Tensor) -> Tensor:
        if self.n_classes is None:
            return self.top.hidden_mean(h)
        unknown = torch.full((*h.shape[:-1], self.n_classes), torch.nan, dtype=h.dtype, device=h.device)
        return self.top.hidden_mean(torch.cat([h, unknown], dim=-1))

    # labels

    @torch.no_grad()
    def predict_log_proba(self, v: Any) -> Tensor:
        """log p(y | E[h_(L-1) | v]) by the top RBM, exact: the free energies of each class compared.

        Args:
            v: as in transform.

        Returns:
            (rows, n_classes), classes 0 to n_classes - 1.

        Raises:
            ValueError, DataError: the network has no labels, or as in transform.
        """
        self._require_labels()
        return torch.cat([self._log_classes(self._up(part)) for part in self._parts(v)])

    def _log_classes(self, h: Tensor) -> Tensor:
        """log p(y | h) of the top RBM, (rows, n_classes)."""
        hot = torch.eye(self._require_labels(), dtype=h.dtype, device=h.device)
        energies = [self.top.complete_free_energy(torch.cat([h, row.expand(len(h), -1)], dim=1)) for row in hot]
        return torch.log_softmax(-torch.stack(energies, dim=1), dim=1)

    def predict_proba(self, v: Any) -> Tensor:
        """exp of predict_log_proba, (rows, n_classes)."""
        return self.predict_log_proba(v).exp()

    def predict(self, v: Any) -> Tensor:
        """The most probable class of each row, int64 (rows,)."""
        return self.predict_log_proba(v).argmax(1)

    def score(self, v: Any, labels: Any) -> float:
        """The share of rows whose class is predicted right."""
        found = self.predict(v).cpu().numpy()
        return float((found == as_labels(labels, self._require_labels(), len(found))).mean())

    def _require_labels(self) -> int:
        if self.n_classes is None:
            raise ValueError(
                "n_classes: this network learned no labels; make it with DBN(sizes, n_classes=...) and fit(data, "
                "labels=...), or put a softmax on top with classifier(n_classes)"
            )
        return self.n_classes

    # sampling

    @torch.no_grad()
    def sample(
        self,
        n: int,
        steps: int = 1000,
        seed: int | None = None,
        label: int | Sequence[int] | None = None,
        start: Any = None,
        mean: bool = False,
    ) -> Tensor:
        """n visible states: Gibbs steps of the top RBM, then once down, (n, sizes[0]).

        Args:
            n: how many chains.
            steps: Gibbs steps of each.
            seed: an int repeats exactly; None never repeats.
            label: a class for all or one for each chain, clamped all the time; None: free.
            start: data to begin at, (sizes[0],) or (n, sizes[0]), taken up by sampling, free labels at the likeliest
                class; None: noise.
            mean: E[v | h_1] instead of states of v, for pictures.

        Raises:
            ValueError: labels that the network did not learn, or as in RBM.sample.
        """
        if n < 1:
            raise ValueError(f"n: expected 1 or more, got {n}")
        if mean and len(self.layers) == 1:
            raise ValueError("mean: one layer alone ends at states; take RBM.sample and visible_mean")
        key = self._key(seed)
        given = None if label is None else self._given(label, n)
        first = None if start is None else self._started(start, n, key.fold_in(1))
        states = self.top.sample(n, steps, seed=key.fold_in(0).seed, given=given, start=first)[:, : self.sizes[-2]]
        for i, layer in reversed(list(enumerate(self._machines[:-1]))):
            if mean and i == 0:
                return layer.visible_mean(states)
            states = layer.sample_visible(states, seed=key.fold_in(2 + i).seed)
        return states

    def _given(self, label: int | Sequence[int], n: int) -> Tensor:
        n_classes = self._require_labels()
        each = np.broadcast_to(np.asarray(label), (n,)) if np.ndim(label) == 0 else label
        hot = one_hot(as_labels(each, n_classes, n), n_classes)
        free = np.full((n, self.sizes[-2]), np.nan, np.float32)
        return torch.from_numpy(np.concatenate([free, hot.astype(np.float32)], axis=1))

    def _started(self, start: Any, n: int, key: Key) -> Tensor:
        states = self._as_rows(start)
        require_states(self._visible_unit, states, "start")
        if states.ndim == 2 and len(states) not in (1, n):
            raise ValueError(f"start: expected one row or n={n}, got {len(states)}")
        states = states.expand(n, self.sizes[0])
        for i, layer in enumerate(self._ways_up):
            states = layer.sample_hidden(states, seed=key.fold_in(i).seed)
        if self.n_classes is None:
            return states
        likely = torch.nn.functional.one_hot(self._log_classes(states).argmax(1), self.n_classes)
        return torch.cat([states, likely.to(states)], dim=1)

    # likelihood

    def lower_bound(self, data: Any, *, samples: int = 1, seed: int | None = None, **estimate: Any) -> Estimate:
        """Mean variational lower bound of log p(v), nats (rbmx.likelihood.stack_lower_bound).

        Args:
            data: as in fit.
            samples: draws of the hidden layers for each row.
            seed: of these draws.
            estimate: of the top layer's log Z: method, temperatures, chains as in RBM.log_partition.

        Raises:
            ValueError: labels, layers that are not Bernoulli, or two ways, for which there is no such bound here.
        """
        if self.n_classes is not None or self.recognition is not None:
            raise ValueError("lower_bound: is of networks without labels whose layers have one way (before up_down)")
        params = [layer._params_copy() for layer in self._machines]
        rows = open_rows(data, params).load()
        key = self._key(seed)
        log_z = self.top.log_partition(seed=key.fold_in(0).seed, **estimate)
        return stack_lower_bound(params, rows, log_z, samples=samples, key=key.fold_in(1))[1]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        """The ways up that an up_down made are taken with the rest."""
        if self.recognition is None and any(name.startswith(f"{prefix}recognition.") for name in state_dict):
            self.recognition = copies(self.layers[:-1])
        super()._load_from_state_dict(state_dict, prefix, *others)

    # borders

    def _parts(self, v: Any) -> Iterator[Tensor]:
        """States, a part of the rows at a time."""
        if not isinstance(v, Tensor):
            params = [layer._params_copy() for layer in self._machines]
            for _, block in open_rows(v, params, self.n_classes).blocks():
                yield self._as_tensor(as_array(block))
            return
        rows = self._as_rows(v)
        if rows.ndim != 2 or not len(rows):
            raise ValueError(f"v: expected (rows, {self.sizes[0]}) with at least one row, got {tuple(rows.shape)}")
        require_states(self._visible_unit, rows, "v")
        for start in range(0, len(rows), ROWS):
            yield rows[start : start + ROWS]

    @property
    def _visible_unit(self) -> UnitType:
        """Of the data."""
        shape = layer_shapes(self.sizes, self._units)[0]
        return unit_type(shape.visible, shape.n_visible)

    def _as_rows(self, v: Any) -> Tensor:
        rows = self._as_tensor(v)
        if rows.ndim < 1 or rows.shape[-1] != self.sizes[0]:
            raise ValueError(f"v: expected (rows, {self.sizes[0]}), got {tuple(rows.shape)}")
        return rows

    def _as_tensor(self, values: Any) -> Tensor:
        return torch.as_tensor(values).to(self.top.weight)

    def _key(self, seed: int | None) -> Key:
        """An int seed as it is, else a key that is never used again."""
        key: Key = self.top._key(seed)
        return key


def machines(layers: nn.ModuleList) -> list[RBM]:
    """The modules, as what they are."""
    return [cast(RBM, layer) for layer in layers]


def copies(layers: Any) -> nn.ModuleList:
    """Machines of their own with the same parameters."""
    return nn.ModuleList(deepcopy(layer) for layer in layers)
