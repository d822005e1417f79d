"""Why a job on Hadoop failed, in one sentence, from what mrjob found in the logs of its tasks."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["explained", "why_job_failed"]

OF_PYTHON = re.compile(r"rbmx: .*|\w*(?:Error|Exception)\b: .*")
OF_JAVA = re.compile(r"(?:Caused by: |Error: )?(?:[a-z]\w*\.)+\w*(?:Exception|Error): (.+)")
LOG = re.compile(r"\(from lines? [\d-]+ of (.+)\)")
END = re.compile(r"failed with state \w+ due to: (.+)")
NO_PYTHON = re.compile(r'Cannot run program "(.+?)".*(?:error=2\b|No such file)')
EXIT_STATUS = re.compile(r"subprocess failed with code (\d+)")
BROKEN_STREAMS = ("Stream closed", "Broken pipe", "subprocess failed")
SIGNALS = 128  # a shell's exit status of a process that a signal ended


def why_job_failed(said: Sequence[str], job: str | None) -> str:
    """The reason, and the log that holds the rest.

    Args:
        said: what mrjob logged of errors, and the client of the job's end.
        job: job_<cluster>_<number>, None where it was never submitted.
    """
    lines = [line.strip() for text in said for line in text.splitlines() if line.strip()]
    log = next((found[1] for line in lines if (found := LOG.search(line))), None)
    rest = f" (log: {log})" if log else ""
    if job and not log:
        rest = f"; yarn logs -applicationId {job.replace('job', 'application', 1)} says more"
    thrown = [found[1] for line in lines if (found := OF_JAVA.fullmatch(line))]
    if told := [line for line in lines if OF_PYTHON.fullmatch(line) and not OF_JAVA.fullmatch(line)]:
        return told[-1] + rest
    if thrown:
        return explained(thrown[0]) + rest
    end = next((found[1] for text in said if (found := END.search(text))), None)
    return (f"the job failed: {end}" if end else (lines or ["no message"])[-1]) + rest


def explained(message: str) -> str:
    """The words of Hadoop, with what to do where the cause is common."""
    if found := NO_PYTHON.search(message):
        return f"a node has no {found[1]}: name its Python by --python-bin, or python_bin in mrjob.conf"
    if any(words in message for words in BROKEN_STREAMS):
        return f"a task's Python ended without a word{_status(message)}"
    if "Connection refused" in message or "ConnectException" in message:
        message = message.split("; For more details")[0]
        return f"cannot reach the cluster: {message}; is it up (make hadoop-up), and HADOOP_CONF_DIR right?"
    if "could only be written to 0 of the" in message or "quota" in message or "No space left" in message:
        return f"HDFS is out of space: {message}"
    return message


def _status(message: str) -> str:
    found = EXIT_STATUS.search(message)
    if found is None:
        return ""
    status = int(found[1])
    return f", by signal {status - SIGNALS}" if status > SIGNALS else f", with exit status {status}"
