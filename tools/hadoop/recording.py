"""Make the class archive: a cluster whose JVMs record what they load, one streaming job on it, and the dump."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tools.hadoop.archive import archive, dump
from tools.hadoop.assemble import streaming_jar
from tools.hadoop.errors import ClusterError
from tools.hadoop.java import find_java
from tools.hadoop.layout import REPOSITORY, Layout

__all__ = ["record"]


def record(layout: Layout, base: int) -> Path:
    """The archive for the Java and the jars at hand; where there is none it is made, which takes a minute."""
    java = find_java()
    path = archive(layout, java)
    if path.exists():
        return path
    print(f"making {path}, once", flush=True)
    recorded = Layout.of(layout.folder, recording=True)
    cluster = [sys.executable, "-m", "tools.hadoop"]
    place = ["--folder", str(layout.folder), "--recording"]
    job = ["-input", "/in", "-output", "/out", "-mapper", "/bin/cat", "-reducer", "/bin/cat"]
    _run([*cluster, "up", *place, "--base", str(base)])
    try:
        for arguments in (
            ["version"],
            ["fs", "-mkdir", "-p", "/in"],
            ["fs", "-put", str(recorded.configuration / "core-site.xml"), "/in/"],
            ["jar", str(streaming_jar(layout)), "-files", str(recorded.configuration / "hdfs-site.xml"), *job],
            ["fs", "-ls", "/out"],
            ["fs", "-cat", "/out/part-00000"],
        ):
            _run([str(recorded.hadoop), *arguments])
    finally:
        _run([*cluster, "down", *place])
    dump(recorded, java)
    shutil.rmtree(recorded.run)
    return path


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        last = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
        raise ClusterError(
            f"the class archive: {' '.join(command[:4])} ended with exit status {done.returncode}: {last}"
        )
