"""A class archive: the classes of all JVMs of the cluster, parsed once and mapped into memory from then on.

One static archive serves daemons, clients, masters and tasks, since each has the same jars first on its class path. It
is bound to the Java and the jars that it was made with, and its name says which; with others a new one is due.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from tools.hadoop.errors import ClusterError
from tools.hadoop.java import LEAN, Java
from tools.hadoop.layout import Layout

__all__ = ["archive", "dump", "jvm_flags"]


def archive(layout: Layout, java: Java) -> Path:
    """Where the archive for this Java and these jars lies, or would lie."""
    digest = hashlib.sha256(f"{java.binary} {java.version} {LEAN} {layout.lib}".encode())
    for jar in sorted(layout.lib.glob("*.jar")):
        status = jar.stat()
        digest.update(f"{jar.name} {status.st_size} {status.st_mtime_ns}".encode())
    return layout.folder / f"classes-{digest.hexdigest()[:12]}.jsa"


def jvm_flags(layout: Layout, java: Java) -> tuple[str, ...]:
    """The flags of every JVM; where the layout records, "@name@" in them stands for the name of the process."""
    if layout.recording:
        return (*LEAN, f"-XX:DumpLoadedClassList={layout.class_lists}/@name@.lst")
    path = archive(layout, java)
    return (*LEAN, f"-XX:SharedArchiveFile={path}") if path.exists() else LEAN


def dump(recorded: Layout, java: Java) -> Path:
    """Make the archive of the classes that the JVMs of a recording cluster have loaded."""
    path = archive(recorded, java)
    partial, names = path.with_suffix(".partial"), recorded.class_lists / "all"
    lines = dict.fromkeys(
        line
        for listed in sorted(recorded.class_lists.glob("*.lst"))
        for line in listed.read_text().splitlines()
        if not line.startswith("#") and "source:" not in line  # only classes of the class path
    )
    names.write_text("\n".join(lines) + "\n")
    flags = [*LEAN, "-Xshare:dump", "-Xlog:disable", f"-XX:SharedClassListFile={names}"]
    command = [str(java.binary), *flags, f"-XX:SharedArchiveFile={partial}", "-cp", f"{recorded.lib}/*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not partial.exists():
        raise ClusterError(f"java -Xshare:dump ended with exit status {done.returncode}: {done.stderr.strip()[:300]}")
    os.replace(partial, path)
    for old in recorded.folder.glob("classes-*.jsa"):
        if old != path:
            old.unlink()
    return path
