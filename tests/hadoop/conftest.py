"""A run folder to play with, and a java and jars that only pretend: no Java and no Maven are needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.hadoop import assemble
from tools.hadoop.cluster import Cluster
from tools.hadoop.layout import REPOSITORY, Layout

# It writes what it was asked to do, and then sleeps as a daemon would; one daemon may be told to die.
JAVA = """\
#!{python} -S
import os, sys, time
if "-version" in sys.argv:
    sys.exit(print('openjdk version "17.0.15" 2025-04-15', file=sys.stderr))
name = next((word[len("-Drbmx.daemon="):] for word in sys.argv if word.startswith("-Drbmx.daemon=")), None)
if name is None:
    sys.exit(print("\\n".join(sys.argv[1:])))
if "-format" in sys.argv:
    sys.exit(0)
if name == os.environ.get("DIES"):
    sys.exit("INFO starting\\njava.lang.IllegalStateException: told to die\\n\\tat Nowhere.main(Nowhere.java:1)")
time.sleep(120)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """An empty folder."""
    return Layout.of(tmp_path / "hadoop")


@pytest.fixture
def pretended(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Layout]:
    """A folder whose jars are there, and a JAVA_HOME whose java pretends; nothing of it outlives the test."""
    layout.lib.mkdir(parents=True)
    shutil.copy(assemble.POM, layout.lib)
    (layout.lib / "hadoop-streaming-3.4.2.jar").touch()
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(JAVA.format(python=os.path.realpath(sys.executable)))
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(java.parents[1]))
    yield layout
    Cluster(layout).stop()


@pytest.fixture
def hadoop(layout: Layout) -> Callable[..., subprocess.Popen[str]]:
    """Start a command of tools.hadoop on the folder."""

    def start(command: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "tools.hadoop", command, *arguments, "--folder", str(layout.folder)]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, cwd=REPOSITORY, env=os.environ | environment, stdout=pipe, stderr=pipe, text=True)

    return start


@pytest.fixture
def run_hadoop(hadoop: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str]]:
    """Run a command of tools.hadoop on the folder: its exit status and all that it said."""

    def run(command: str, *arguments: str, **environment: str) -> tuple[int, str]:
        with hadoop(command, *arguments, **environment) as process:
            said = "".join(process.communicate(timeout=200))
            return process.returncode, said

    return run
