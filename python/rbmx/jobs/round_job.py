"""What all our MRJobs share: lines of bytes in and out, one file that tells tasks all, records alone on stdout.

The only module that imports mrjob: a job is a subclass in a file of its own, which is what mrjob runs as a task.
"""

from __future__ import annotations

import sys

from mrjob.job import MRJob
from mrjob.protocol import BytesProtocol, BytesValueProtocol
from mrjob.step import MRStep, StepFailedException

from rbmx.jobs.streaming import COUNTERS, records_alone_on_stdout
from rbmx.jobs.watch import Watch

__all__ = ["JobWatch", "RoundJob", "StepFailedException", "is_task", "run_task"]

TASK_FLAGS = ("--mapper", "--reducer", "--combiner", "--spark")


class RoundJob(MRJob):  # type: ignore[misc]  # mrjob has no types
    """A round over lines of bytes; all that a task must know stands in --round-file."""

    INPUT_PROTOCOL = BytesValueProtocol
    INTERNAL_PROTOCOL = BytesProtocol
    OUTPUT_PROTOCOL = BytesValueProtocol
    JOBCONF = {  # noqa: RUF012 - mrjob's own way
        "mapreduce.job.reduces": "1",
        "mapreduce.map.speculative": "false",
        "mapreduce.reduce.speculative": "false",
    }

    def configure_args(self) -> None:
        """--round-file and --map-only beside mrjob's own flags."""
        super().configure_args()
        self.add_passthru_arg("--map-only", action="store_true", help="no reducer: the output is the map tasks' own")
        self.add_file_arg("--round-file", help="the model of the round: rbmx train-mr --prepare writes the first")

    def steps(self) -> list[MRStep]:
        """Map and reduce, or map alone."""
        if not self.options.map_only:
            return list(super().steps())
        return [MRStep(mapper_init=self.mapper_init, mapper=self.mapper, mapper_final=self.mapper_final)]


class JobWatch(Watch):
    """Progress and counts by way of mrjob."""

    def __init__(self, job: RoundJob) -> None:
        super().__init__()
        self._job = job

    def status(self, text: str) -> None:
        """Shown beside the task."""
        self._job.set_status(text)

    def count(self, counter: str, amount: int) -> None:
        """Added to a counter of the job."""
        self._job.increment_counter(COUNTERS, counter, amount)


def is_task() -> bool:
    """Whether mrjob runs this process as a task."""
    return any(flag in sys.argv[1:] for flag in TASK_FLAGS)


def run_task(job: type[RoundJob]) -> None:
    """A task whose standard output carries records and nothing else: whatever is printed goes to standard error."""
    with records_alone_on_stdout() as records:
        task = job()
        task.sandbox(stdin=sys.stdin.buffer, stdout=records, stderr=sys.stderr.buffer)
        task.execute()
