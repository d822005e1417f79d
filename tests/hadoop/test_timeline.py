"""The timeline of a job, from answers as the history server gives them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from tools.hadoop.cluster import Cluster
from tools.hadoop.timeline import job_timeline

JOB = "job_1_0001"
BASE = f"/ws/v1/history/mapreduce/jobs/{JOB}"
REDUCE = {"startTime": 7000, "shuffleFinishTime": 7800, "mergeFinishTime": 7900, "finishTime": 8200}
ANSWERS: dict[str, Any] = {
    BASE: {"job": {"name": "count", "state": "SUCCEEDED", "submitTime": 1000, "startTime": 3500, "finishTime": 8500}},
    # one element comes without its list
    f"{BASE}/jobattempts": {"jobAttempts": {"jobAttempt": {"startTime": 2250}}},
    f"{BASE}/tasks": {
        "tasks": {
            "task": [
                {"id": "task_1_0001_r_000000", "type": "REDUCE", "state": "SUCCEEDED"},
                {"id": "task_1_0001_m_000000", "type": "MAP", "state": "SUCCEEDED"},
                {"id": "task_1_0001_m_000001", "type": "MAP", "state": "KILLED"},
            ]
        }
    },
    f"{BASE}/tasks/task_1_0001_m_000000/attempts": {
        "taskAttempts": {
            "taskAttempt": [
                {"id": "m0_0", "state": "FAILED", "nodeHttpAddress": "a:1", "startTime": 4000, "finishTime": 5000},
                {"id": "m0_1", "state": "SUCCEEDED", "nodeHttpAddress": "b:1", "startTime": 5100, "finishTime": 6100},
            ]
        }
    },
    f"{BASE}/tasks/task_1_0001_m_000001/attempts": {"taskAttempts": ""},
    f"{BASE}/tasks/task_1_0001_r_000000/attempts": {
        "taskAttempts": {"taskAttempt": {"id": "r0_0", "state": "SUCCEEDED", "nodeHttpAddress": "a:1", **REDUCE}}
    },
}


class Told:
    """A cluster whose history server gives the answers above."""

    def get(self, name: str, path: str) -> Any:
        assert name == "jhs"
        return ANSWERS[path]


def test_times_are_seconds_since_submission() -> None:
    told = job_timeline(cast(Cluster, Told()), JOB)
    assert {name: told[name] for name in ("submitted", "masters", "start", "finish")} == {
        "submitted": 1.0,
        "masters": [1.25],
        "start": 2.5,
        "finish": 7.5,
    }


def test_every_attempt_of_every_task_is_there() -> None:
    first, second, reduce = job_timeline(cast(Cluster, Told()), JOB)["tasks"]
    assert first["attempts"] == [
        {"attempt": "m0_0", "state": "FAILED", "node": "a:1", "start": 3.0, "finish": 4.0},
        {"attempt": "m0_1", "state": "SUCCEEDED", "node": "b:1", "start": 4.1, "finish": 5.1},
    ]
    assert (second["state"], second["attempts"]) == ("KILLED", [])
    moments = {name: reduce["attempts"][0][name] for name in ("start", "shuffled", "merged", "finish")}
    assert moments == pytest.approx({"start": 6.0, "shuffled": 6.8, "merged": 6.9, "finish": 7.2})
