"""Hadoop's jars from Maven: downloaded once, and never half."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools.hadoop.errors import ClusterError
from tools.hadoop.layout import Layout

__all__ = ["assemble", "check_space", "is_assembled", "streaming_jar"]

POM = Path(__file__).with_name("pom.xml")
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
NEEDED_GIB = 1.0  # 0.1 for the jars, as much for Maven's own copy, the rest for logs and a small HDFS


def is_assembled(layout: Layout) -> bool:
    """Whether lib holds all that pom.xml names: the pom that made it comes last into the folder."""
    made_by = layout.lib / POM.name
    return made_by.is_file() and made_by.read_bytes() == POM.read_bytes()


def assemble(layout: Layout) -> None:
    """Make `layout.lib` unless it is whole; the folder gets its name only when every jar is in it."""
    if is_assembled(layout):
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise ClusterError("no mvn on the PATH: Maven fetches Hadoop's jars, once (Debian: apt-get install maven)")
    check_space(layout.folder)
    print(f"fetching Hadoop's jars (100 MB) into {layout.lib}, once", flush=True)
    partial, log = layout.folder / "lib.partial", layout.folder / "maven.log"
    shutil.rmtree(partial, ignore_errors=True)
    command = [maven, "-q", "-B", "-f", str(POM), PLUGIN, "-DincludeScope=runtime", f"-DoutputDirectory={partial}"]
    with log.open("w") as output:
        status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False).returncode
    if status:
        errors = [line for line in log.read_text(errors="replace").splitlines() if line.startswith("[ERROR]")]
        reason = f": {errors[0][8:300]}" if errors else ""
        raise ClusterError(f"mvn ended with exit status {status}{reason} (log: {log})")
    shutil.copy(POM, partial)
    shutil.rmtree(layout.lib, ignore_errors=True)
    partial.rename(layout.lib)


def check_space(folder: Path) -> None:
    """A ClusterError where the disk below `folder` has less room than a small cluster needs."""
    free = shutil.disk_usage(folder).free / 2**30
    if free < NEEDED_GIB:
        raise ClusterError(f"only {free:.2f} GiB free on the disk of {folder}: the cluster needs {NEEDED_GIB:g} GiB")


def streaming_jar(layout: Layout) -> Path:
    """The jar of Hadoop streaming in lib."""
    return next(layout.lib.glob("hadoop-streaming-*.jar"))
