"""One round on an engine: inline, local processes, Hadoop or Spark, by mrjob."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rbmx.errors import JobError
from rbmx.jobs import spark
from rbmx.jobs.hadoop_failures import why_job_failed
from rbmx.jobs.hdfs import Hdfs, home, no_hadoop
from rbmx.jobs.mrjob_log import Listener, listening, most_telling
from rbmx.jobs.splits import Splits

if TYPE_CHECKING:
    from rbmx.jobs.round_job import RoundJob

__all__ = ["RUNNERS", "Engine", "Runner"]

Runner = Literal["inline", "local", "hadoop", "spark"]
RUNNERS: tuple[Runner, ...] = ("inline", "local", "hadoop", "spark")
PREFIX = {"hadoop": "", "spark": "spark.hadoop."}  # of Hadoop's properties, where an engine has them


@dataclass(frozen=True)
class Engine:
    """Where rounds run, and how mrjob is told so.

    Attributes:
        runner: "inline", "local", "hadoop" or "spark".
        conf_paths: mrjob.conf files; () takes the user's own.
        jobconf: Hadoop properties, -D key=value.
        options: further words for mrjob (--python-bin, --archives, ...).
        folder: for temporary files of the driver.
        maps: map tasks on Hadoop; None: one a shard.
        job: the MRJob; None: rbmx.jobs.train_job's.
    """

    runner: Runner
    folder: Path
    conf_paths: Sequence[str] = ()
    jobconf: dict[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    maps: int | None = None
    job: type[RoundJob] | None = None

    def __post_init__(self) -> None:
        if self.runner not in RUNNERS:
            raise ValueError(f"runner: expected one of {', '.join(RUNNERS)}, got {self.runner!r}")
        if self.maps is not None and self.maps < 1:
            raise ValueError(f"maps: expected 1 or more, got {self.maps}")

    def run(
        self,
        round_file: Path,
        inputs: Sequence[str],
        *,
        splits: Splits,
        reduces: bool = True,
        on_progress: Callable[[float], object] = lambda _: None,
    ) -> tuple[list[bytes], dict[str, int]]:
        """The reducer's lines and the job's own counters.

        Args:
            round_file: the model of the round.
            inputs: files or URIs.
            splits: how Hadoop and Spark cut them.
            reduces: False: the lines are those of the map tasks.
            on_progress: hears the share of the map work done, where the engine tells.

        Raises:
            JobError: the engine failed; the message holds the cause it gave.
        """
        words = ["--round-file", str(round_file), *inputs]
        if not reduces:
            words = ["--map-only", "-D", "mapreduce.job.reduces=0", *words]
        if self.runner == "spark":
            words = [*self._spark_words(remote=any("://" in path for path in inputs)), *words]
        with listening(on_progress) as heard, self._runner(words, splits) as runner:
            try:
                runner.run()
                lines = b"".join(runner.cat_output()).splitlines()
            except KeyboardInterrupt:
                if heard.job is not None:  # it would go on without its driver
                    subprocess.run(
                        [*runner.get_hadoop_bin(), "job", "-kill", heard.job], capture_output=True, check=False
                    )
                raise
            except Exception as error:
                raise JobError(f"{self.runner}: {self._cause(error, heard)}") from error
            finally:
                if self.runner == "spark":
                    spark.remove_leftovers(runner)
            counters: dict[str, int] = {}
            for step in runner.counters():
                counters |= step.get("rbmx", {})
            return lines, counters

    @property
    def hdfs(self) -> Hdfs:
        """HDFS by the hadoop command that mrjob would take."""
        with self._runner() as runner:
            return Hdfs(runner.fs.hadoop.get_hadoop_bin())

    @property
    def remote_folder(self) -> str:
        """Where this engine's temporary files lie on HDFS."""
        return f"{home()}/{self.folder.name}"

    def clean_up(self) -> None:
        """Remove the temporary files on HDFS."""
        if self.runner == "hadoop":
            self.hdfs.remove(self.remote_folder)

    def _cause(self, error: Exception, heard: Listener) -> str:
        from rbmx.jobs.round_job import StepFailedException

        if self.runner == "hadoop" and isinstance(error, StepFailedException):
            return why_job_failed(heard.errors, heard.job)
        if isinstance(error, FileNotFoundError) and error.filename == "hadoop":
            return no_hadoop(error)
        if self.runner != "spark":
            return most_telling(error, heard.errors)
        lines = heard.errors or list(heard.last)
        return spark.explained("\n".join(lines)) or most_telling(error, lines)

    def _spark_words(self, *, remote: bool) -> list[str]:
        with self._runner() as runner:
            return spark.words_for(runner, self.folder, remote=remote)

    def _runner(self, words: Sequence[str] = ("--round-file", "none"), splits: Splits | None = None) -> Any:
        from rbmx.jobs.train_job import TrainJob

        logging.getLogger("mrjob").addHandler(logging.NullHandler())  # it speaks through mrjob_log, or not at all
        splits = splits or Splits()
        own = {PREFIX[self.runner] + key: value for key, value in splits.jobconf.items() if self.runner in PREFIX}
        conf = [word for path in self.conf_paths for word in ("--conf-path", path)]
        temporary = ["--local-tmp-dir", str(self.folder), "--cleanup", "NONE"]
        if self.runner == "hadoop":
            temporary += ["--hadoop-tmp-dir", self.remote_folder.removeprefix("hdfs://")]
            temporary += [f"--hadoop-args={splits.arguments}"] if splits.arguments else []
        all_words = ["-r", self.runner, *conf, *temporary, *_flags(own | self.jobconf), *self.options, *words]
        return (self.job or TrainJob)(all_words).make_runner()


def _flags(jobconf: dict[str, str]) -> list[str]:
    return [word for key, value in jobconf.items() for word in ("-D", f"{key}={value}")]
