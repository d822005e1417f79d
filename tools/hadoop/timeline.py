"""Where a job's time went, as the history server tells it: python -m tools.hadoop.timeline [JOB ...].

All times are seconds since the client submitted the job.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.hadoop import network
from tools.hadoop.cluster import Cluster
from tools.hadoop.errors import ClusterError
from tools.hadoop.layout import REPOSITORY, Layout

__all__ = ["job_timeline", "timelines"]

JOBS = "/ws/v1/history/mapreduce/jobs"
# the history server's names for the moments of an attempt, and ours; a map has no shuffle, a reduce has
MOMENTS = {"startTime": "start", "shuffleFinishTime": "shuffled", "mergeFinishTime": "merged", "finishTime": "finish"}


def timelines(cluster: Cluster, jobs: list[str] | None = None) -> list[dict[str, Any]]:
    """The timelines of the named jobs, else of all, oldest first.

    Each is {"job", "name", "state", "submitted" (seconds since 1970), "masters": [start of each master's attempt],
    "start", "finish", "tasks": [{"task", "type": "MAP" | "REDUCE", "state", "attempts": [{"attempt", "state", "node",
    "start", "shuffled", "merged", "finish"}]}]}; "shuffled" and "merged" are a reduce's only.
    """
    holder = cluster.daemons().get("network")
    if network.is_inside(holder):
        known = _known(cluster)
        if unknown := set(jobs or []) - set(known):
            raise ClusterError(f"no job {min(unknown)} in the history: expected one of {', '.join(known) or 'none'}")
        return [job_timeline(cluster, job) for job in jobs or known]
    command = [str(cluster.layout.enter), sys.executable, "-m", "tools.hadoop.timeline"]
    command += ["--folder", str(cluster.layout.folder), *(jobs or [])]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(done.stderr.strip().removeprefix("hadoop: "))
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


def job_timeline(cluster: Cluster, job: str) -> dict[str, Any]:
    """The timeline of one job, asked from within the cluster's network."""
    told = cluster.get("jhs", f"{JOBS}/{job}")["job"]
    submitted = told["submitTime"]
    masters = _several(cluster.get("jhs", f"{JOBS}/{job}/jobattempts")["jobAttempts"], "jobAttempt")
    tasks = _several(cluster.get("jhs", f"{JOBS}/{job}/tasks")["tasks"], "task")
    return {
        "job": job,
        "name": told["name"],
        "state": told["state"],
        "submitted": submitted / 1000,
        "masters": [_seconds(master["startTime"], submitted) for master in masters],
        "start": _seconds(told["startTime"], submitted),
        "finish": _seconds(told["finishTime"], submitted),
        "tasks": [_task(cluster, job, task, submitted) for task in sorted(tasks, key=lambda task: str(task["id"]))],
    }


def _task(cluster: Cluster, job: str, task: dict[str, Any], submitted: int) -> dict[str, Any]:
    answer = cluster.get("jhs", f"{JOBS}/{job}/tasks/{task['id']}/attempts")
    attempts = [
        {"attempt": attempt["id"], "state": attempt["state"], "node": attempt.get("nodeHttpAddress")}
        | {ours: _seconds(attempt[theirs], submitted) for theirs, ours in MOMENTS.items() if attempt.get(theirs)}
        for attempt in _several(answer["taskAttempts"], "taskAttempt")
    ]
    return {"task": task["id"], "type": task["type"], "state": task["state"], "attempts": attempts}


def _known(cluster: Cluster) -> list[str]:
    jobs = cluster.get("jhs", JOBS)["jobs"]
    return sorted(str(job["id"]) for job in _several(jobs, "job"))


def _several(answer: Any, key: str) -> list[dict[str, Any]]:
    """The list under `key`: the server writes one element without its list, and no element as nothing or ""."""
    value = answer.get(key, []) if answer else []
    return value if isinstance(value, list) else [value]


def _seconds(milliseconds: int, submitted: int) -> float:
    return (milliseconds - submitted) / 1000


def main() -> int:
    """Print the timelines as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.hadoop.timeline", description=__doc__)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="job_..._0001; all without")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "hadoop")
    options = parser.parse_args()
    try:
        json.dump(timelines(Cluster(Layout.of(options.folder)), options.jobs), sys.stdout, indent=2)
    except (ClusterError, OSError) as error:
        print(f"hadoop: {error}", file=sys.stderr)
        return 1
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
