"""One round of training as an MRJob: its mapper trains shards, its reducer merges them.

Run as a script it is an ordinary MRJob over shard lines or CSV rows, with all of mrjob's flags, for one round:

    rbmx train-mr data.csv --label first --hidden 500 --prepare -o model.safetensors
    python train_job.py data.csv -r hadoop --round-file model.safetensors > out.txt
    rbmx next-round model.safetensors out.txt

`rbmx train-mr` without --prepare does that for all rounds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

# A node may have another Python than the driver built the shipped archive for; say so before an import fails oddly.
_expected = os.environ.get("RBMX_TASK_PYTHON")
if _expected and _expected != f"{sys.version_info[0]}.{sys.version_info[1]}":
    sys.exit(
        f"rbmx: this node's Python is {sys.version_info[0]}.{sys.version_info[1]} ({sys.executable}), the job was "
        f"built for {_expected}: name one by python_bin in mrjob.conf or --python-bin"
    )

from mrjob.job import MRJob  # noqa: E402
from mrjob.protocol import BytesProtocol, BytesValueProtocol  # noqa: E402
from mrjob.step import StepFailedException  # noqa: E402

from rbmx.jobs.mapper import Mapper  # noqa: E402
from rbmx.jobs.records import Record, write_record  # noqa: E402
from rbmx.jobs.streaming import COUNTERS, KEY, records_alone_on_stdout, use_container_threads  # noqa: E402
from rbmx.jobs.watch import Watch  # noqa: E402
from rbmx.jobs.work import load_job, reduce_job  # noqa: E402

__all__ = ["StepFailedException", "TrainJob", "main"]

TASK_FLAGS = ("--mapper", "--reducer", "--combiner", "--spark")


class TrainJob(MRJob):  # type: ignore[misc]  # mrjob has no types
    """A round over lines of shards or of CSV text; see rbmx.jobs.train_rounds for many rounds."""

    INPUT_PROTOCOL = BytesValueProtocol
    INTERNAL_PROTOCOL = BytesProtocol
    OUTPUT_PROTOCOL = BytesValueProtocol
    JOBCONF = {  # noqa: RUF012 - mrjob's own way
        "mapreduce.job.reduces": "1",
        "mapreduce.map.speculative": "false",
        "mapreduce.reduce.speculative": "false",
    }

    def configure_args(self) -> None:
        """--round-file beside mrjob's own flags."""
        super().configure_args()
        self.add_file_arg("--round-file", help="the model of the round: rbmx train-mr --prepare writes the first")

    def load_args(self, args: list[str]) -> None:
        """A round is needed, or no task could start."""
        super().load_args(args)
        if self.options.round_file is None:
            self.arg_parser.error("--round-file: the model of a round is needed; rbmx train-mr --prepare writes it")

    def mapper_init(self) -> None:
        """Read the round; take as many threads as the container has cores."""
        use_container_threads()
        self._mapper = Mapper(load_job(self.options.round_file), _TaskWatch(self))

    def run_mapper(self, step_num: int = 0) -> None:
        """A task's whole input at once; Spark, which has no streams, calls mapper and mapper_final."""
        _, write = self.pick_protocols(step_num, "mapper")
        self.mapper_init()
        for record in self._mapper.stream(self.stdin):
            self.stdout.write(write(KEY, write_record(record)) + b"\n")

    def mapper(self, _: None, line: bytes) -> Iterator[tuple[bytes, bytes]]:
        """A shard line is trained at once, a row of CSV waits for the others of its split."""
        return _keyed(self._mapper.line(line))

    def mapper_final(self) -> Iterator[tuple[bytes, bytes]]:
        """The rows of a split."""
        return _keyed(self._mapper.end())

    def reducer_init(self) -> None:
        """Read the round."""
        self._job = load_job(self.options.round_file)

    def reducer(self, key: bytes, values: Iterable[bytes]) -> Iterator[tuple[None, bytes]]:
        """The merge of all shards."""
        for record in reduce_job(values, self._job):
            yield None, write_record(record)


class _TaskWatch(Watch):
    """Progress and counts by way of mrjob."""

    def __init__(self, job: TrainJob) -> None:
        self._job = job

    def status(self, text: str) -> None:
        self._job.set_status(text)

    def count(self, counter: str, amount: int) -> None:
        self._job.increment_counter(COUNTERS, counter, amount)


def _keyed(records: Iterable[Record]) -> Iterator[tuple[bytes, bytes]]:
    for record in records:
        yield KEY, write_record(record)


def main() -> None:
    """A task of a job, or the job."""
    if any(flag in sys.argv[1:] for flag in TASK_FLAGS):
        _run_task()
    else:
        TrainJob.run()


def _run_task() -> None:
    """A task whose standard output carries records and nothing else: whatever is printed goes to standard error."""
    with records_alone_on_stdout() as records:
        job = TrainJob()
        job.sandbox(stdin=sys.stdin.buffer, stdout=records, stderr=sys.stderr.buffer)
        job.execute()


if __name__ == "__main__":
    main()
