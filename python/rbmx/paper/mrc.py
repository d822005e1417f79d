"""MRDL, the MapReduce job of the paper; also the file that its tasks run, whatever script set it up."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rbmx.jobs.node_python import require_expected_python

require_expected_python()

from rbmx.errors import DataError, DivergedError, JobError  # noqa: E402
from rbmx.jobs.archive import shipped  # noqa: E402
from rbmx.jobs.engine import Engine  # noqa: E402
from rbmx.jobs.merge import in_order  # noqa: E402
from rbmx.jobs.reading import split_name  # noqa: E402
from rbmx.jobs.records import (  # noqa: E402
    Arrays,
    Failure,
    Name,
    Record,
    Result,
    failure_record,
    read_record,
    result_from,
    result_record,
    write_record,
)
from rbmx.jobs.round_job import JobWatch, RoundJob, is_task, run_task  # noqa: E402
from rbmx.jobs.rounds import at_work  # noqa: E402
from rbmx.jobs.splits import Splits  # noqa: E402
from rbmx.jobs.step import error_of  # noqa: E402
from rbmx.jobs.streaming import use_container_threads  # noqa: E402
from rbmx.paper.own_net import OWN_MODULE, file_of  # noqa: E402
from rbmx.paper.rows import BLOCK_LINES, Line, block_record, digest_of, load_lines, rows_of  # noqa: E402
from rbmx.paper.split_job import SplitJob, SplitSettings, load_split_job, save_split_job  # noqa: E402
from rbmx.paper.split_work import train_split  # noqa: E402
from rbmx.paper.weights import Weights, average  # noqa: E402

if TYPE_CHECKING:
    from rbmx.paper.driver import rbm
    from rbmx.paper.nnc import Net

__all__ = ["MRDL", "main"]


class MRDL(RoundJob):
    """Train a net over the splits of a CSV file: set `newnet` and `net`, call `run`, take `weights`.

    A mapper chains three functions in one step: it splits the lines, collects those of a split, and loads and
    transforms them. A reducer trains the net on a split and emits its weights. A line goes to the split that the digest
    of its text names, and rows are put in the order of their digests, so the weights do not depend on how many tasks
    read the file: they are the same inline, in processes and on Hadoop.

    Attributes:
        newnet: how to train: rate, momentum, rows of a minibatch, seed.
        net: where every split starts in the first round.
        weights: of each split after the last round.
        rounds, splits, epochs, tuning_epochs: as the flags say: rounds, each from the average of the last; splits;
            passes of contrastive divergence for each layer in the first round; passes of backprop in every round.
    """

    newnet: ClassVar[rbm | None] = None
    net: ClassVar[Net | None] = None
    weights: ClassVar[list[Weights]] = []
    rounds: ClassVar[int] = 3
    splits: ClassVar[int] = 4
    epochs: ClassVar[int] = 1
    tuning_epochs: ClassVar[int] = 5

    def configure_args(self) -> None:
        """Flags of the training beside mrjob's own."""
        super().configure_args()
        for name, least, what in (
            ("rounds", 1, "rounds, each from the average of the last"),
            ("splits", 1, "splits of the data, a reducer each"),
            ("epochs", 0, "passes of contrastive divergence for each layer, in the first round"),
            ("tuning-epochs", 1, "passes of backprop, in every round"),
        ):
            default = getattr(self, name.replace("-", "_"))
            self.add_passthru_arg(
                f"--{name}", type=_at_least(least), default=default, metavar="N", help=f"{what} (default {default})"
            )
        self.add_passthru_arg("--no-ship", action="store_true", help="Hadoop's nodes have rbmx and mrjob")
        self.add_file_arg("--net-file", help="the module of a class of nets of one's own; found by itself")

    # the mapper: three functions in one step

    def mapper_init(self) -> None:
        """Read the round."""
        self._job = load_split_job(self.options.round_file)
        self._where = split_name()
        self._lines, self._failed = 0, False
        self._collected: dict[int, list[Line]] = {}

    def mapper(self, _: None, line: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Split, collect, and where a block is full load and transform."""
        for split, lines in self.mapper_collect(*self.mapper_split(line)):
            yield from self.mapper_load(split, lines)

    def mapper_final(self) -> Iterator[tuple[bytes, bytes]]:
        """What is left of each split."""
        for split, lines in sorted(self._collected.items()):
            yield from self.mapper_load(split, lines)

    def mapper_split(self, text: bytes) -> tuple[int, Line]:
        """The split of a line."""
        self._lines += 1
        text = text.rstrip(b"\r\n")
        digest = digest_of(text)
        return digest % self._job.settings.splits, Line(self._lines, digest, text)

    def mapper_collect(self, split: int, line: Line) -> Iterator[tuple[int, list[Line]]]:
        """The lines of a split, when there are enough of them."""
        lines = self._collected.setdefault(split, [])
        lines.append(line)
        if len(lines) == BLOCK_LINES:
            yield split, self._collected.pop(split)

    def mapper_load(self, split: int, lines: list[Line]) -> Iterator[tuple[bytes, bytes]]:
        """Lines as numbers, keyed by their split; what is wrong with one is told to all splits, so that none trains."""
        settings = self._job.settings
        if self._failed:
            return
        try:
            yield _key(split), write_record(block_record(load_lines(lines, settings.node_seq[0], self._where)))
        except DataError as error:
            self._failed = True
            failure = write_record(failure_record(Failure(str(error))))
            for each in range(settings.splits):
                yield _key(each), failure

    # the reducer

    def reducer_init(self) -> None:
        """Read the round; take as many threads as the container has cores."""
        use_container_threads()
        self._job = load_split_job(self.options.round_file)

    def reducer(self, key: bytes, values: Iterable[bytes]) -> Iterator[tuple[None, bytes]]:
        """The weights after training on a split."""
        records = [read_record(value) for value in values]
        failures = [record for record in records if record.kind == "failure"]
        yield None, write_record(failures[0] if failures else self._trained(int(key), records))

    def _trained(self, split: int, records: list[Record]) -> Record:
        try:
            weights = train_split(self._job, split, rows_of(records), JobWatch(self), self.options.net_file)
        except DivergedError as error:
            return failure_record(Failure(str(error), "diverged"))
        except (DataError, JobError) as error:
            return failure_record(Failure(str(error)))
        name = Name(f"{split:06d}", split, self._job.settings.splits)
        return result_record(Result(name, Arrays(weights.arrays, weights.rows)))

    # the driver

    @classmethod
    def run(cls) -> None:
        """Run the rounds that the command line asks for; the weights of all splits are then in `weights`.

        Nothing goes to standard output. Rounds and epochs are told on standard error.

        Raises:
            ValueError: newnet or net are not set, or do not fit; no data are named.
            DataError, DivergedError, JobError: a round failed, with one line that says where and why.
        """
        if OWN_MODULE in sys.modules:
            raise JobError(
                "MRDL.run() was called while a task read a class of nets from this script: put the class in a module "
                'of its own, or the script under `if __name__ == "__main__":`'
            )
        if cls.newnet is None or cls.net is None:
            raise ValueError("MRDL: set newnet and net before run(): MRDL.newnet = rbm(...), MRDL.net = ...")
        words = sys.argv[1:]
        options = cls(words).options
        if not options.args:
            raise ValueError(f"data: name the CSV files of the training data: python3 {sys.argv[0]} train.csv")
        settings = cls.newnet.split_settings(
            cls.net,
            epochs=options.epochs,
            tuning_epochs=options.tuning_epochs,
            splits=options.splits,
        )
        job = SplitJob(cls.newnet.fetch_weights(cls.net), settings)
        if settings.own_class is not None:
            words = [*words, "--net-file", file_of(type(cls.net))]
        conf = {"mapreduce.job.reduces": str(settings.splits)}
        # MRDL and no class below it: tasks run this file
        with at_work(options.runner or "inline", settings.splits, jobconf=conf, options=words, job=MRDL) as engine:
            if engine.runner == "hadoop" and not options.no_ship:
                engine = shipped(engine)
            for number in range(options.rounds):
                weights = _round(replace(job, number=number), engine)
                job = replace(job, weights=average(weights))
                _tell(number, options.rounds, settings, weights)
        cls.weights = weights


def _round(job: SplitJob, engine: Engine) -> list[Weights]:
    """The weights of each split after a round."""
    round_file = Path(engine.folder) / "round.safetensors"
    save_split_job(round_file, job)
    lines, _ = engine.run(round_file, (), splits=Splits())
    records = [read_record(line) for line in lines]
    failures = {record.facts["message"]: record for record in records if record.kind == "failure"}
    if failures:
        raise error_of(list(failures.values()))
    results = {result.name.number: result for result in map(result_from, records)}
    empty = [str(split) for split in range(job.settings.splits) if split not in results]
    if empty:
        rows = sum(result.content.rows for result in results.values())
        raise DataError(
            f"split {', '.join(empty)} of {job.settings.splits} is empty: {rows} rows in all; take fewer by --splits"
        )
    found = []
    for result in in_order(results.values()):
        content: Any = result.content
        shaped = {name: content.tensors[name].reshape(like.shape) for name, like in job.weights.arrays.items()}
        found.append(Weights(shaped, content.rows))
    return found


def _tell(number: int, rounds: int, settings: SplitSettings, weights: list[Weights]) -> None:
    divergence = f"{settings.epochs} of contrastive divergence a layer, " if number == 0 else ""
    rows = sum(each.rows for each in weights)
    print(
        f"round {number + 1}/{rounds}: {settings.splits} splits, {rows} rows; epochs: {divergence}"
        f"{settings.tuning_epochs} of backprop",
        file=sys.stderr,
    )


def _key(split: int) -> bytes:
    return b"%d" % split


def _at_least(least: int) -> Any:
    def read(text: str) -> int:
        value = int(text)
        if value < least:
            raise ValueError(text)
        return value

    read.__name__ = f"integer of {least} or more"
    return read


def main() -> None:
    """A task; the driver is a script of the user's."""
    if not is_task():
        sys.exit("rbmx.paper.mrc: run by tasks; a script sets MRDL.newnet and MRDL.net and calls MRDL.run()")
    run_task(MRDL)


if __name__ == "__main__":
    main()
