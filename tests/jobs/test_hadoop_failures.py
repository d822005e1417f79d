"""What mrjob hands over of a failed job, and the one sentence that it becomes."""

from __future__ import annotations

import pytest

from rbmx.jobs.hadoop_failures import explained, why_job_failed

JOB = "job_1795659268527_0006"
NOT_SUCCESSFUL = "  Job not successful!"
WHERE = """\

(from lines 48-84 of /logs/userlogs/application_1_0006/container_1_0006_01_000004/{log})

while reading input from lines 1-1112 of hdfs://localhost:27500/shards/shard-00000-of-00003


"""
LOG = " (log: /logs/userlogs/application_1_0006/container_1_0006_01_000004/{log})"


def probable(cause: str, log: str = "syslog") -> list[str]:
    return [NOT_SUCCESSFUL, f"\nProbable cause of failure:\n\n{cause}\n{WHERE.format(log=log)}"]


@pytest.mark.parametrize(
    ("cause", "sentence"),
    [
        (
            'configuration exception\njava.io.IOException: Cannot run program "/no/python": error=2, No such file or '
            "directory\n\tat java.base/java.lang.ProcessBuilder.start(ProcessBuilder.java:1143)\n"
            "Caused by: java.io.IOException: error=2, No such file or directory\n\t... 28 more",
            "a node has no /no/python: name its Python by --python-bin, or python_bin in mrjob.conf",
        ),
        (
            "{}\njava.lang.RuntimeException: PipeMapRed.waitOutputThreads(): subprocess failed with code 3",
            "a task's Python ended without a word, with exit status 3",
        ),
        (
            "Error: java.lang.RuntimeException: PipeMapRed.waitOutputThreads(): subprocess failed with code 137",
            "a task's Python ended without a word, by signal 9",
        ),
        ("{}\njava.io.IOException: Stream closed\n\tat a.b(c)", "a task's Python ended without a word"),
        (
            "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException: "
            "The DiskSpace quota of /user/hadoop is exceeded: quota = 1024 B = 1 KB but diskspace consumed = "
            "33571328 B = 32.02 MB\n\tat a.b(c)",
            "HDFS is out of space: The DiskSpace quota of /user/hadoop is exceeded: "
            "quota = 1024 B = 1 KB but diskspace consumed = 33571328 B = 32.02 MB",
        ),
        ("java.lang.IllegalStateException: what nobody knows", "what nobody knows"),
    ],
)
def test_what_hadoop_says(cause: str, sentence: str) -> None:
    assert why_job_failed(probable(cause), JOB) == sentence + LOG.format(log="syslog")


def test_what_python_says_comes_first() -> None:
    cause = "Traceback (most recent call last):\n  ...\nModuleNotFoundError: No module named 'mrjob'"
    found = why_job_failed([*probable("java.io.IOException: Stream closed"), *probable(cause, "stderr")], JOB)
    assert found.startswith("ModuleNotFoundError: No module named 'mrjob' (log: ")


def test_where_no_log_can_be_read_the_client_is_quoted() -> None:
    reason = "Task failed task_1795659268527_0006_m_000002\nJob failed as tasks failed."
    end = f"  Job {JOB} failed with state FAILED due to: {reason}"
    assert why_job_failed([end, NOT_SUCCESSFUL], JOB) == (
        "the job failed: Task failed task_1795659268527_0006_m_000002; "
        "yarn logs -applicationId application_1795659268527_0006 says more"
    )


def test_words_that_need_no_explanation_stay() -> None:
    assert explained("put: `/data': File exists") == "put: `/data': File exists"
