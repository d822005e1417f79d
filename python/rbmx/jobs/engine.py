"""One round on an engine: inline, local processes, Hadoop or Spark, by mrjob."""

from __future__ import annotations

import getpass
import logging
import os
import re
import subprocess
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rbmx.errors import JobError
from rbmx.jobs import spark
from rbmx.jobs.hadoop_failures import explained, why_job_failed

__all__ = ["RUNNERS", "Engine", "Runner", "home"]

Runner = Literal["inline", "local", "hadoop", "spark"]
RUNNERS: tuple[Runner, ...] = ("inline", "local", "hadoop", "spark")
PREFIX = {"hadoop": "", "spark": "spark.hadoop."}  # of Hadoop's properties, where an engine has them
ONE_SPLIT_A_FILE = {"mapreduce.input.fileinputformat.split.minsize": str(1 << 40)}
LAST_RECORDS = 100  # of the log, for failures that leave no error there
MAP_PROGRESS = re.compile(r"map +(\d+)%")
HADOOP_JOB = re.compile(r"Running job: (job_\d+_\d+)")
TASK_ERROR = re.compile(r"^\w*(?:Error|Exception)\b.*|^rbmx: .*|.*\bSIGKILL\b.*")
COMMAND = re.compile(r": Command '.*' returned non-zero exit status \d+\.?$", re.DOTALL)  # pages of it


@dataclass(frozen=True)
class Engine:
    """Where rounds run, and how mrjob is told so.

    Attributes:
        runner: "inline", "local", "hadoop" or "spark".
        conf_paths: mrjob.conf files; () takes the user's own.
        jobconf: Hadoop properties, -D key=value.
        options: further words for mrjob (--python-bin, --archives, ...).
        folder: for temporary files of the driver.
    """

    runner: Runner
    folder: Path
    conf_paths: Sequence[str] = ()
    jobconf: dict[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.runner not in RUNNERS:
            raise ValueError(f"runner: expected one of {', '.join(RUNNERS)}, got {self.runner!r}")

    def run(
        self,
        round_file: Path,
        inputs: Sequence[str],
        *,
        shards: int,
        whole_files: bool,
        on_progress: Callable[[float], object] = lambda _: None,
    ) -> tuple[list[bytes], dict[str, int]]:
        """The reducer's lines and the job's own counters.

        Args:
            round_file: the model of the round.
            inputs: files or URIs.
            shards: how many there are, or are asked for.
            whole_files: each file is one split; otherwise the engine splits text as it likes.
            on_progress: hears the share of the map work done, where the engine tells.

        Raises:
            JobError: the engine failed; the message holds the cause it gave.
        """
        splits = ONE_SPLIT_A_FILE if whole_files else {"mapreduce.job.maps": str(shards)}
        words = ["--round-file", str(round_file), *inputs]
        if self.runner == "spark":
            words = [*self._spark_words(remote=any("://" in path for path in inputs)), *words]
        with _listening(on_progress) as heard, self._runner(words, splits) as runner:
            try:
                runner.run()
                lines = b"".join(runner.cat_output()).splitlines()
            except KeyboardInterrupt:
                if heard.job is not None:  # it would go on without its driver
                    _hadoop([*runner.get_hadoop_bin(), "job", "-kill", heard.job], heard.job)
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
    def remote_folder(self) -> str:
        """Where this engine's temporary files lie on HDFS."""
        return f"{home()}/{self.folder.name}"

    def files(self, uri: str) -> list[str]:
        """The files that a folder or a pattern on HDFS holds."""
        with self._runner() as runner, _reported(uri):
            found = sorted(runner.fs.ls(uri))
        return [file for file in found if not file.rsplit("/", 1)[1].startswith(("_", "."))]

    def copy_start(self, uri: str, target: Path, limit: int) -> bool:
        """Copy up to `limit` bytes of a file on HDFS, whole lines only; True if that is all of it."""
        with self._runner() as runner:
            command = [*runner.fs.hadoop.get_hadoop_bin(), "fs", "-cat", uri]
        return _copy_start(command, uri, target, limit)

    def upload(self, files: Sequence[Path], uri: str) -> None:
        """Put local files into a new folder on HDFS, which appears whole or not at all."""
        with self._runner() as runner:
            hadoop = runner.fs.hadoop.get_hadoop_bin()
        unfinished = f"{uri}._uploading"
        remove = [*hadoop, "fs", "-rm", "-r", "-f", "-skipTrash", unfinished]
        _hadoop(remove, uri)
        try:
            _hadoop([*hadoop, "fs", "-mkdir", "-p", unfinished], uri)
            _hadoop([*hadoop, "fs", "-put", *map(str, files), unfinished], uri)
            _hadoop([*hadoop, "fs", "-mv", unfinished, uri], uri)
        except BaseException:
            with suppress(JobError):  # the first error is the one to tell
                _hadoop(remove, uri)
            raise

    def upload_file(self, file: Path, uri: str) -> None:
        """Put a local file at a URI on HDFS, where it appears whole or not at all."""
        with self._runner() as runner:
            hadoop = runner.fs.hadoop.get_hadoop_bin()
        _hadoop([*hadoop, "fs", "-mkdir", "-p", uri.rsplit("/", 1)[0]], uri)
        _hadoop([*hadoop, "fs", "-put", "-f", str(file), uri], uri)  # by way of a file ._COPYING_ that is renamed

    def exists(self, uri: str) -> bool:
        """Whether there is something at a URI."""
        with self._runner() as runner, _reported(uri):
            return bool(runner.fs.exists(uri))

    def clean_up(self) -> None:
        """Remove the temporary files on HDFS."""
        if self.runner == "hadoop":
            with self._runner() as runner:
                hadoop = runner.fs.hadoop.get_hadoop_bin()
            _hadoop([*hadoop, "fs", "-rm", "-r", "-f", "-skipTrash", self.remote_folder], self.remote_folder)

    def _cause(self, error: Exception, heard: _Listener) -> str:
        from mrjob.step import StepFailedException

        if self.runner == "hadoop" and isinstance(error, StepFailedException):
            return why_job_failed(heard.errors, heard.job)
        if self.runner != "spark":
            return _cause(error, heard.errors)
        lines = heard.errors or list(heard.last)
        return spark.explained("\n".join(lines)) or _cause(error, lines)

    def _spark_words(self, *, remote: bool) -> list[str]:
        with self._runner() as runner:
            return spark.words_for(runner, self.folder, remote=remote)

    def _runner(self, words: Sequence[str] = ("--round-file", "none"), splits: dict[str, str] | None = None) -> Any:
        from rbmx.jobs.train_job import TrainJob

        logging.getLogger("mrjob").addHandler(logging.NullHandler())  # it speaks through _listening, or not at all
        own = {PREFIX[self.runner] + key: value for key, value in (splits or {}).items() if self.runner in PREFIX}
        conf = [word for path in self.conf_paths for word in ("--conf-path", path)]
        temporary = ["--local-tmp-dir", str(self.folder), "--cleanup", "NONE"]
        if self.runner == "hadoop":
            temporary += ["--hadoop-tmp-dir", self.remote_folder.removeprefix("hdfs://")]
        all_words = ["-r", self.runner, *conf, *temporary, *_flags(own | self.jobconf), *self.options, *words]
        return TrainJob(all_words).make_runner()


def home() -> str:
    """The user's own folder for jobs on HDFS."""
    return f"hdfs:///user/{os.environ.get('HADOOP_USER_NAME') or getpass.getuser()}/.rbmx"


def _flags(jobconf: dict[str, str]) -> list[str]:
    return [word for key, value in jobconf.items() for word in ("-D", f"{key}={value}")]


class _Listener(logging.Handler):
    """Hears what mrjob logs: progress, the job's id, and the lines that explain a failure."""

    def __init__(self, on_progress: Callable[[float], object]) -> None:
        super().__init__(logging.DEBUG)
        self.on_progress = on_progress
        self.errors: list[str] = []
        self.last: deque[str] = deque(maxlen=LAST_RECORDS)
        self.job: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if match := MAP_PROGRESS.search(text):
            self.on_progress(int(match[1]) / 100)
        if match := spark.TASK_PROGRESS.search(text):
            self.on_progress(int(match[1]) / int(match[2]))
        if spark.WAITING in text:
            warnings.warn(f"rbmx: Spark waits for a worker that is free: {text.strip()}", stacklevel=2)
        if match := HADOOP_JOB.search(text):
            self.job = match[1]
        self.last.append(text)
        if record.levelno >= logging.ERROR or "failed with state" in text:
            self.errors.append(text)


@contextmanager
def _listening(on_progress: Callable[[float], object]) -> Iterator[_Listener]:
    logger, listener = logging.getLogger("mrjob"), _Listener(on_progress)
    before = logger.level
    logger.addHandler(listener)
    logger.setLevel(min(before or logging.INFO, logging.INFO))
    try:
        yield listener
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)


def _cause(error: Exception, heard: Sequence[str]) -> str:
    """The most telling line of what mrjob logged, else the error's own words."""
    if isinstance(error, FileNotFoundError) and error.filename == "hadoop":
        return _no_hadoop(error)
    lines = [line.strip().removeprefix("STDERR: ") for text in heard for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if TASK_ERROR.match(line)]
    last = (telling or lines or [""])[-1]
    own = COMMAND.sub("", str(error)) or type(error).__name__
    return f"{last} ({own})" if last and last not in own else own


@contextmanager
def _reported(uri: str) -> Iterator[None]:
    with _listening(lambda _: None) as heard:
        try:
            yield
        except Exception as error:
            raise JobError(f"{uri}: {explained(_cause(error, heard.errors))}") from error


def _hadoop(command: Sequence[str], uri: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise JobError(_no_hadoop(error)) from error
    if done.returncode:
        raise JobError(f"{uri}: {explained(_last_line(done.stderr))}")


def _copy_start(command: Sequence[str], uri: str, target: Path, limit: int) -> bool:
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise JobError(_no_hadoop(error)) from error
    with process, open(target, "wb") as file:
        assert process.stdout is not None and process.stderr is not None
        copied = 0
        while copied < limit and (piece := process.stdout.read(min(1 << 20, limit - copied))):
            file.write(piece)
            copied += len(piece)
        complete = copied < limit
        if not complete:
            process.kill()
        errors = process.stderr.read().decode("utf-8", "replace")
    if complete and process.returncode:
        raise JobError(f"{uri}: {explained(_last_line(errors))}")
    return complete


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if line.startswith(("ls:", "cat:", "put:", "mkdir:", "mv:", "rm:"))]
    return (named or lines or ["no message"])[-1]


def _no_hadoop(error: OSError) -> str:
    return f"hadoop: cannot run it ({error.strerror}: {error.filename}); set HADOOP_HOME, or hadoop_bin in mrjob.conf"
