"""The Java that runs everything, and the flags that all JVMs of the cluster share."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.hadoop.errors import ClusterError

__all__ = ["LEAN", "OLDEST", "Java", "find_java"]

OLDEST = 17  # Hadoop 3.5.0 is compiled for it
# The JVMs live for seconds and share few cores: no collector threads, no optimising compiler, no counters in /tmp.
LEAN = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djava.net.preferIPv4Stack=true")


@dataclass(frozen=True)
class Java:
    """`binary` is the java command, `version` the first line that it says of itself."""

    binary: Path
    version: str

    @property
    def home(self) -> Path:
        """JAVA_HOME."""
        return self.binary.parents[1]


def find_java() -> Java:
    """The Java of JAVA_HOME, else of PATH; a ClusterError where there is none or it is older than 17."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    where = f"in JAVA_HOME={home}" if home else "on the PATH"
    if found is None:
        raise ClusterError(f"no java {where}: install a JDK {OLDEST} or newer (Debian: openjdk-17-jdk-headless)")
    binary = Path(found).resolve()
    said = subprocess.run([binary, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(?:1\.)?(\d+)', said.stderr)
    if said.returncode or version is None:
        raise ClusterError(f"{binary} -version failed with exit status {said.returncode}: {said.stderr.strip()[:200]}")
    if int(version[1]) < OLDEST:
        raise ClusterError(
            f"{binary} is Java {version[1]}: Hadoop 3.5.0 needs {OLDEST} or newer (set JAVA_HOME to one)"
        )
    return Java(binary, said.stderr.strip())
