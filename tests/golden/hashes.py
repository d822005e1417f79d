"""Prints sha256 hashes of what must never change: `python tests/golden/hashes.py > tests/golden/hashes.json`.

Only with an entry in docs/decisions.md. Data come from Philox, so they are the same with any version of NumPy.
Arguments: threads, and "one" (each run is one call) or "many" (interrupted and shipped as bytes in between).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from typing import Any

import numpy as np

import rbmx
from rbmx.backends import Batches, State, Update, backend_for
from rbmx.backends.native import permutation
from rbmx.backends.up_down import Directions, UpDownState, train_directions
from rbmx.bits import PackedBits
from rbmx.data import Encoding
from rbmx.data.shards import Shard, ShardHeader, shard_bounds, write_shard
from rbmx.jobs.mapper import Mapper
from rbmx.jobs.records import write_record
from rbmx.jobs.reducer import reduce_round
from rbmx.jobs.round import Round
from rbmx.jobs.rounds import job_settings
from rbmx.jobs.step import next_round, outcome_of
from rbmx.rng import Key, Purpose, draw32, uniform
from rbmx.training import TrainState
from rbmx.training.greedy import initial_stack

DATA_KEY, KEY = Key(20060728), Key(1)


def sha256(*arrays: Any) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def bits(rows: int, units: int) -> PackedBits:
    """Rows of different density, a fifth on average."""
    density = uniform(DATA_KEY, 0, rows, 1, stream=1) ** 2 * 0.6
    return PackedBits.pack(uniform(DATA_KEY, 0, rows, units) < density)


def grey(rows: int, units: int) -> Any:
    return (draw32(DATA_KEY, 0, rows, units, stream=2) >> np.uint32(24)).astype(np.float32) / np.float32(256)


def standard(rows: int, units: int) -> Any:
    """Nearly normal numbers of variance 1: sums of four bytes."""
    total = sum((draw32(DATA_KEY, 0, rows, units, stream=3 + i) >> np.uint32(24)).astype(np.int64) for i in range(4))
    return ((total - 510) / 147.8).astype(np.float32)


def labelled(rows: int) -> PackedBits:
    """120 bits, and ten units of which one is on."""
    labels = (draw32(DATA_KEY, 0, rows, 1, stream=7) % np.uint32(10))[:, 0]
    return PackedBits.pack(np.hstack([bits(rows, 120).unpack(), np.eye(10, dtype=np.uint8)[labels]]))


def initial(n_visible: int, n_hidden: int, visible: str = "bernoulli", hidden: str = "bernoulli") -> rbmx.RBMParams:
    key = KEY.fold_in(Purpose.INITIAL_WEIGHTS)
    return rbmx.RBMParams.initial(n_visible, n_hidden, key=key, std=0.05, visible=visible, hidden=hidden)


def arrays(params: rbmx.RBMParams) -> list[Any]:
    return [params.weight, params.visible_bias, params.hidden_bias]


def trained(n_visible: int, n_hidden: int, data: Any, config: rbmx.TrainConfig, many: bool, *units: str) -> str:
    """Hash of parameters, velocity and chains after config.epochs; units: visible and hidden ones, or Bernoulli."""
    params, state = initial(n_visible, n_hidden, *units), None
    for epochs in range(1, config.epochs + 1) if many else [config.epochs]:
        part = dataclasses.replace(config, epochs=epochs)
        result = rbmx.train(params, data, part, state=state)
        state = TrainState.from_bytes(result.state.to_bytes())
    assert state is not None
    tensors = state.tensors()
    return sha256(*arrays(params), *(tensors[name] for name in sorted(tensors)))


def fifty_updates(many: bool) -> str:
    """Final weights after 50 updates of CD-5, 784-500, batches of 100: one native call, or calls of 1, 2, 3, ... ."""
    params, data = initial(784, 500), bits(5000, 784)
    order = permutation(5000, KEY.fold_in(Purpose.SHUFFLE))
    backend, noise = backend_for(params), KEY.fold_in(Purpose.TRAINING)
    step, size = 0, 1 if many else 50
    while step < 50:
        rows = order[100 * step : 100 * (step + size)]
        outcome = backend.train(params, data, Batches(rows, 100, 5, Update(0.05), noise, step), State())
        assert outcome.name == "done"
        step, size = step + outcome.batches, size + 1
    return sha256(*arrays(params))


def up_and_down(many: bool) -> str:
    """Ways and velocities after 11 minibatches of up-down with PCD-2, labels and two layers below the top."""
    layers = initial_stack([120, 65, 130, 160], n_classes=10, seed=1)
    stack = Directions([layer.copy() for layer in layers[:-1]], layers[:-1], layers[-1])
    chains = rbmx.PCD(2, 33).initial_chains(stack.top, 40, KEY)
    state = UpDownState(stack.zeros(), chains)
    data, update = labelled(411), Update(0.05, first=0.5, weight_decay=1e-3)
    step, size = 0, 1 if many else 11
    while step < 11:
        rows = np.arange(411)[40 * step : 40 * (step + size)]
        outcome = train_directions(stack, data, Batches(rows, 40, 2, update, KEY, step), state)
        assert outcome.name == "done"
        step, size = step + outcome.batches, size + 1
    assert state.velocity is not None
    return sha256(*(array for layer in [*stack.layers, *state.velocity.layers] for array in arrays(layer)))


def sampled() -> dict[str, str]:
    """Row-wise functions, in one call and in parts."""
    params, rows = initial(784, 130), bits(300, 784)
    params.weight *= np.float32(8)
    backend, key = backend_for(params), KEY.fold_in(Purpose.SAMPLING)
    statistics = backend.cd_statistics(params, rows, 3, key, 5, 2)
    return {
        "hidden_mean": sha256(backend.hidden_mean(params, rows)),
        "sample_hidden": sha256(backend.sample_hidden(params, rows, key, 5, 2).words),
        "gibbs": sha256(backend.gibbs(params, rows, 10, key, 5, 2).words),
        "free_energy": sha256(backend.free_energy(params, rows)),
        "cd_statistics": sha256(statistics.weight, statistics.visible, statistics.hidden),
    }


def sharded(many: bool, **settings: Any) -> str:
    """Weights after two rounds over three shards of 411 rows; `many`: results arrive the other way round."""
    rows, bounds = bits(411, 130), shard_bounds(411, 3)
    plan = job_settings(shards=3, rounds=2, seed=5, **settings)
    job = Round(initial(130, 65), plan)
    for _ in range(2):
        lines = []
        for shard in reversed(range(3)) if many else range(3):
            part = rows[bounds[shard] : bounds[shard + 1]]
            header = ShardHeader(shard, 3, bounds[shard], len(part), 411, 130, "bits", Encoding())
            lines += [write_record(record) for record in Mapper(job).line(write_shard(Shard(header, part)))]
        found = [write_record(record) for record in reduce_round(lines, plan)]
        job = next_round(job, *outcome_of(found, plan))
    return sha256(*arrays(job.params))


def main() -> None:
    threads, many = (int(sys.argv[1]), sys.argv[2] == "many") if len(sys.argv) > 1 else (1, False)
    rbmx.set_num_threads(threads)
    cd, pcd = rbmx.CD(1), rbmx.PCD(2, 33)
    config = rbmx.TrainConfig(3, 40, pcd, rbmx.SGD(0.05, 0.5), (rbmx.L2(1e-3),), rbmx.ExponentialDecay(0.5), 0.0)
    stream = dataclasses.replace(config, sampler=cd, buffer_bytes=4000)
    centred = dataclasses.replace(config, centering=0.01, penalties=(rbmx.L1(1e-3), rbmx.L2(1e-3)))
    adam = dataclasses.replace(centred, sampler=cd, optimizer=rbmx.Adam(0.01))
    real = dataclasses.replace(config, epochs=2, reproducible=True)
    normal = dataclasses.replace(real, optimizer=rbmx.SGD(0.01, 0.5), visible_bias="keep")
    started = dataclasses.replace(normal, sampler=rbmx.CD(2))  # first real chains are NumPy's, whose log may vary
    softmax = dataclasses.replace(centred, visible_bias="keep")
    label = "bernoulli*120 + softmax(10)"
    print(
        json.dumps(
            {
                "about": "written by tests/golden/hashes.py; change only with an entry in docs/decisions.md",
                "philox draws": sha256(draw32(KEY, 3, 50, 20, step=7, stream=4)),
                "permutation of 10,000": sha256(permutation(10_000, KEY)),
                "initial weights 784-500": sha256(initial(784, 500).weight),
                "50 updates of CD-5, 784-500": fifty_updates(many),
                "PCD-2, momentum, decay, 130-65, 3 epochs of 411 rows": trained(130, 65, bits(411, 130), config, many),
                "PCD-2, centred, momentum, L1, L2, 130-65": trained(130, 65, bits(411, 130), centred, many),
                "CD-1, centred, Adam, 130-65": trained(130, 65, bits(411, 130), adam, many),
                "CD-1, streamed, 130-65": trained(130, 65, bits(9000, 130), stream, many),
                "PCD-2 on real values, canonical, 65-33": trained(65, 33, grey(211, 65), real, many),
                "PCD-2, centred, Bernoulli and softmax, 130-65": trained(130, 65, labelled(411), softmax, many, label),
                "PCD-2, Gaussian-Bernoulli, canonical, 65-33": trained(
                    65, 33, standard(211, 65), normal, many, "gaussian"
                ),
                "CD-2, Gaussian-ReLU, canonical, 65-33": trained(
                    65, 33, standard(211, 65), started, many, "gaussian", "relu"
                ),
                "CD-2, Bernoulli-Gaussian, canonical, 65-33": trained(
                    65, 33, bits(211, 65), started, many, "bernoulli", "gaussian"
                ),
                "two rounds over three shards, averaged": sharded(many, momentum=0.5, outer_momentum=0.5),
                "two rounds over three shards, summed": sharded(many, merge="gradient", split_batch=False),
                "11 minibatches of up-down, PCD-2, labels, 120-65-130-160": up_and_down(many),
                **sampled(),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
