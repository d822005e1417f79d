"""What sequential_torch.py does, by rbmx: in one process, or as one job on a Hadoop that is up."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

import rbmx
from rbmx.rng import Key
from rbmx.training import Adam, Network, TrainConfig
from rbmx.training.greedy import initial_stack, train_stack


def in_one_process(words: argparse.Namespace, data: np.ndarray, test: np.ndarray) -> dict[str, float]:
    layers = initial_stack(words.sizes, seed=words.seed)
    configs = [
        TrainConfig.of(
            epochs=words.epochs,
            batch_size=words.batch,
            lr=words.rate,
            centering=0.0,
            seed=Key(words.seed).fold_in(i).seed,
        )
        for i in range(len(layers))
    ]
    train_stack(layers, data, configs, propagate=words.propagate, progress=False)
    if not words.backprop:
        seconds = time.time() - words.started
        return {"seconds": seconds, "error": squared_error(Network.autoencoder_of(layers), test)}
    before = time.time()
    import torch  # which backprop takes, and greedy training does not

    torch.set_num_threads(words.threads)
    model = rbmx.Autoencoder.from_layers(layers, seed=words.seed)
    model.fit(
        data,
        epochs=words.backprop,
        batch_size=words.tuning_batch,
        lr=words.tuning_rate,
        seed=words.seed,
        progress=False,
    )
    now = time.time()
    return {
        "seconds": now - words.started,
        "backprop_seconds": now - before,
        "error": model.reconstruction_error(test),
    }


def on_hadoop(words: argparse.Namespace, data: np.ndarray, test: np.ndarray) -> dict[str, float]:
    from rbmx.jobs import FineTuning
    from rbmx.jobs import train_stack as stack_job

    tuning = None
    if words.backprop:
        tuning = FineTuning(
            "autoencoder",
            epochs=words.backprop,
            batch_size=words.tuning_batch,
            optimizer=Adam(words.tuning_rate),
            loss="cross_entropy",
            code="sigmoid",
        )
    found = stack_job(
        data,
        words.sizes,
        shards=1,
        rounds=1,
        epochs=words.epochs,
        batch_size=words.batch,
        lr=words.rate,
        propagate=words.propagate,
        schedule=None,
        seed=words.seed,
        fine_tune=tuning,
        runner="hadoop",
        conf_paths=[words.hadoop],
        # the one map runs in the JVM of the job's master, which takes its size: a container less to start
        jobconf={
            "mapreduce.job.ubertask.enable": "true",
            "mapreduce.map.cpu.vcores": str(words.threads),
            "yarn.app.mapreduce.am.resource.cpu-vcores": str(words.threads),
            "yarn.app.mapreduce.am.resource.mb": "1536",
        },
    )
    seconds = time.time() - words.started
    network = found.network if found.network is not None else Network.autoencoder_of(found.layers)
    record = found.history[-1]
    return {
        "seconds": seconds,
        "fixed_seconds": seconds - record.work_seconds,
        "backprop_seconds": record.tuning_seconds,
        "error": squared_error(network, test),
    }


def squared_error(network: Network, test: np.ndarray) -> float:
    """Per image, summed over pixels."""
    difference = network.forward(test.astype(np.float32)) - test
    return float((difference.astype(np.float64) ** 2).sum(axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path, help=".npy of bits")
    parser.add_argument("test", type=Path, help=".npy of bits")
    parser.add_argument("result", type=Path, help="JSON to write")
    parser.add_argument("--sizes", type=int, nargs="+", required=True)
    parser.add_argument("--epochs", type=int, required=True, help="of each layer")
    parser.add_argument("--backprop", type=int, required=True, help="epochs")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--tuning-rate", type=float, required=True)
    parser.add_argument("--tuning-batch", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--propagate", choices=("sample", "mean"), required=True, help="what layers hand up")
    parser.add_argument("--started", type=float, required=True, help="time.time() before this process was started")
    parser.add_argument("--hadoop", metavar="CONF", help="the mrjob.conf of a cluster; without it: in this process")
    words = parser.parse_args()
    rbmx.set_num_threads(words.threads)
    data, test = np.load(words.train), np.load(words.test)
    run = on_hadoop if words.hadoop else in_one_process
    words.result.write_text(json.dumps(run(words, data, test)))


if __name__ == "__main__":
    main()
