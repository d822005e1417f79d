"""Which Java is taken, and which is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.hadoop.errors import ClusterError
from tools.hadoop.java import find_java


def pretend(folder: Path, version: str, status: int = 0) -> Path:
    """A JAVA_HOME whose java says that it is of this version."""
    java = folder / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-04-15' >&2\nexit {status}\n")
    java.chmod(0o755)
    return folder


@pytest.mark.parametrize("version", ["17", "17.0.15", "21.0.1", "25-ea"])
def test_new_ones_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", str(pretend(tmp_path / "jdk", version)))
    java = find_java()
    assert java.home == tmp_path / "jdk"
    assert version in java.version


@pytest.mark.parametrize(("version", "major"), [("1.8.0_402", 8), ("11.0.2", 11), ("16", 16)])
def test_old_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, major: int) -> None:
    monkeypatch.setenv("JAVA_HOME", str(pretend(tmp_path / "jdk", version)))
    with pytest.raises(ClusterError, match=rf"/bin/java is Java {major}: Hadoop 3.5.0 needs 17 or newer"):
        find_java()


def test_without_java_home_it_is_that_of_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(pretend(tmp_path / "jdk", "17") / "bin"))
    (tmp_path / "jdk" / "bin" / "java").write_text("#!/bin/sh\necho 'version \"17\"' >&2\n")
    assert find_java().binary == tmp_path / "jdk" / "bin" / "java"


def test_no_java_is_said_with_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(ClusterError, match=f"^no java in JAVA_HOME={tmp_path}: install a JDK 17 or newer"):
        find_java()
    monkeypatch.delenv("JAVA_HOME")
    with pytest.raises(ClusterError, match=r"^no java on the PATH: install a JDK 17 or newer"):
        find_java()


def test_a_java_that_fails_is_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(pretend(tmp_path / "jdk", "17", status=1)))
    with pytest.raises(ClusterError, match="java -version failed with exit status 1: openjdk version"):
        find_java()
