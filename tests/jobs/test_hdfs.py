"""What a job asks of the `hadoop` command, each call of which starts a JVM."""

from __future__ import annotations

from pathlib import Path

import pytest

from rbmx.jobs import JobSettings
from rbmx.jobs.engine import Engine
from rbmx.jobs.inputs import open_inputs
from tests.jobs.data import stripes


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that a `hadoop` which only takes notes writes its arguments to."""
    notes, command = tmp_path / "asked", tmp_path / "home" / "bin" / "hadoop"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\necho "$@" >> "{notes}"\n')
    command.chmod(0o755)
    monkeypatch.setenv("HADOOP_HOME", str(command.parents[1]))
    return notes


def test_shards_of_a_job_are_put_by_two_commands(tmp_path: Path, asked: Path) -> None:
    folder = tmp_path / "rbmx-job-1"
    folder.mkdir()
    inputs = open_inputs(stripes(), 3, Engine("hadoop", folder), JobSettings())
    (uri,) = inputs.paths
    made, put = asked.read_text().splitlines()
    assert made == f"fs -mkdir -p {uri}"
    files = [str(path) for path in sorted((folder / "shards").iterdir())]
    assert len(files) == 3
    assert put == f"fs -put {' '.join(files)} {uri}"
