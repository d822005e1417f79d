"""Files on HDFS by the `hadoop` command: list, copy, put, remove; each failure one sentence."""

from __future__ import annotations

import getpass
import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rbmx.errors import JobError
from rbmx.jobs.hadoop_failures import explained

__all__ = ["Hdfs", "home", "no_hadoop"]

COMMANDS = ("ls:", "cat:", "put:", "mkdir:", "mv:", "rm:", "test:")  # begin the message of FsShell
PIECE = 1 << 20


@dataclass(frozen=True)
class Hdfs:
    """A client.

    Attributes:
        hadoop: the command, as mrjob finds it: hadoop_bin in mrjob.conf, HADOOP_HOME, PATH.
    """

    hadoop: Sequence[str]

    def files(self, uri: str) -> list[str]:
        """The files that a folder or a pattern holds, without those that Hadoop hides; [] where there is nothing."""
        done = self._run("-ls", "-C", uri)
        if done.returncode:
            if "No such file or directory" in done.stderr:
                return []
            raise self._error(uri, done.stderr)
        return sorted(f for f in done.stdout.split("\n") if f and not f.rsplit("/", 1)[1].startswith(("_", ".")))

    def exists(self, uri: str) -> bool:
        """Whether there is something at a URI."""
        done = self._run("-test", "-e", uri)
        if done.returncode and done.stderr.strip():
            raise self._error(uri, done.stderr)
        return done.returncode == 0

    def copy(self, uris: Sequence[str], target: Path) -> None:
        """Copy files, one after another, into one here."""
        self._copy(uris, target, 1 << 62)

    def copy_start(self, uri: str, target: Path, limit: int) -> bool:
        """Copy up to `limit` bytes of a file; True if that is all of it."""
        return self._copy([uri], target, limit)

    def _copy(self, uris: Sequence[str], target: Path, limit: int) -> bool:
        try:
            process = subprocess.Popen(
                [*self.hadoop, "fs", "-cat", *uris],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            raise JobError(no_hadoop(error)) from error
        with process, open(target, "wb") as file:
            assert process.stdout is not None and process.stderr is not None
            copied = 0
            while copied < limit and (piece := process.stdout.read(min(PIECE, limit - copied))):
                file.write(piece)
                copied += len(piece)
            if copied == limit:
                process.kill()
            errors = process.stderr.read().decode("utf-8", "replace")
        if copied < limit and process.returncode:
            raise self._error(uris[0], errors)
        return copied < limit

    def put(self, files: Sequence[Path], uri: str) -> None:
        """Put local files into a folder of the job's own, which nobody reads before: half the commands of upload."""
        self._do(uri, "-mkdir", "-p", uri)
        self._do(uri, "-put", *map(str, files), uri)

    def upload(self, files: Sequence[Path], uri: str) -> None:
        """Put local files into a new folder, which appears whole or not at all."""
        unfinished = f"{uri}._uploading"
        self.remove(unfinished)
        try:
            self._do(uri, "-mkdir", "-p", unfinished)
            self._do(uri, "-put", *map(str, files), unfinished)
            self._do(uri, "-mv", unfinished, uri)
        except BaseException:
            with suppress(JobError):  # the first error is the one to tell
                self.remove(unfinished)
            raise

    def upload_file(self, file: Path, uri: str) -> None:
        """Put a local file at a URI, where it appears whole or not at all."""
        self._do(uri, "-mkdir", "-p", uri.rsplit("/", 1)[0])
        self._do(uri, "-put", "-f", str(file), uri)  # by way of a file ._COPYING_ that is renamed

    def remove(self, uri: str) -> None:
        """Remove a file or a folder, if it is there."""
        self._do(uri, "-rm", "-r", "-f", "-skipTrash", uri)

    def _do(self, uri: str, *words: str) -> None:
        done = self._run(*words)
        if done.returncode:
            raise self._error(uri, done.stderr)

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*self.hadoop, "fs", *words]
        try:
            return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        except OSError as error:
            raise JobError(no_hadoop(error)) from error

    @staticmethod
    def _error(uri: str, said: str) -> JobError:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        named = [line for line in lines if line.startswith(COMMANDS)]
        return JobError(f"{uri}: {explained((named or lines or ['no message'])[-1])}")


def home() -> str:
    """The user's own folder for jobs."""
    return f"hdfs:///user/{os.environ.get('HADOOP_USER_NAME') or getpass.getuser()}/.rbmx"


def no_hadoop(error: OSError) -> str:
    """That there is no such command, and how to name it."""
    return f"hadoop: cannot run it ({error.strerror}: {error.filename}); set HADOOP_HOME, or hadoop_bin in mrjob.conf"
