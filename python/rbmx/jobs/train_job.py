"""One round of training as an MRJob: its mapper trains shards, its reducer merges them.

Run as a script it is an ordinary MRJob over shard lines or CSV rows, with all of mrjob's flags, for one round:

    rbmx train-mr data.csv --label first --hidden 500 --prepare -o model.safetensors
    python train_job.py data.csv -r hadoop --round-file model.safetensors > out.txt
    rbmx next-round model.safetensors out.txt

`rbmx train-mr` without --prepare does that for all rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rbmx.jobs.node_python import require_expected_python

require_expected_python()

from rbmx.jobs.mapper import Mapper  # noqa: E402
from rbmx.jobs.records import Record, write_record  # noqa: E402
from rbmx.jobs.round_job import JobWatch, RoundJob, is_task, run_task  # noqa: E402
from rbmx.jobs.streaming import KEY, use_container_threads  # noqa: E402
from rbmx.jobs.work import load_job, reduce_job  # noqa: E402

__all__ = ["TrainJob", "main"]


class TrainJob(RoundJob):
    """A round over lines of shards or of CSV text; see rbmx.jobs.train_rounds for many rounds."""

    def load_args(self, args: list[str]) -> None:
        """A round is needed, or no task could start."""
        super().load_args(args)
        if self.options.round_file is None:
            self.arg_parser.error("--round-file: the model of a round is needed; rbmx train-mr --prepare writes it")

    def mapper_init(self) -> None:
        """Read the round; take as many threads as the container has cores."""
        use_container_threads()
        self._mapper = Mapper(load_job(self.options.round_file), JobWatch(self))

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


def _keyed(records: Iterable[Record]) -> Iterator[tuple[bytes, bytes]]:
    for record in records:
        yield KEY, write_record(record)


def main() -> None:
    """A task of a job, or the job."""
    if is_task():
        run_task(TrainJob)
    else:
        TrainJob.run()


if __name__ == "__main__":
    main()
