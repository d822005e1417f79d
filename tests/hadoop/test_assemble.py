"""The jars: fetched once, never half, with a Maven that pretends."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from tools.hadoop.assemble import assemble, check_space, is_assembled, streaming_jar
from tools.hadoop.errors import ClusterError
from tools.hadoop.layout import Layout

# it puts two jars where -DoutputDirectory says
MAVEN = """\
#!/bin/sh
for word; do case $word in -DoutputDirectory=*) folder=${word#*=} ;; esac; done
mkdir -p "$folder" && touch "$folder/hadoop-common-3.5.0.jar" "$folder/hadoop-streaming-3.4.2.jar"
"""
FAILS = 'echo "[INFO] fetching"; echo "[ERROR] Could not resolve dependencies"; echo "[ERROR] Help"; exit 1\n'


@pytest.fixture
def folder(layout: Layout) -> Layout:
    layout.folder.mkdir()
    return layout


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "bin" / "mvn"
    path.parent.mkdir()
    path.write_text(MAVEN)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return path


def test_jars_are_fetched_once(folder: Layout, maven: Path) -> None:
    assemble(folder)
    assert is_assembled(folder)
    assert streaming_jar(folder).name == "hadoop-streaming-3.4.2.jar"
    maven.unlink()
    assemble(folder)


def test_a_broken_download_is_never_taken_for_a_whole_one(folder: Layout, maven: Path) -> None:
    maven.write_text(MAVEN + FAILS)
    message = r"^mvn ended with exit status 1: Could not resolve dependencies \(log: .*/hadoop/maven.log\)$"
    with pytest.raises(ClusterError, match=message):
        assemble(folder)
    assert not folder.lib.exists()
    assert not is_assembled(folder)
    maven.write_text(MAVEN)
    assemble(folder)
    assert sorted(path.name for path in folder.lib.iterdir()) == [
        "hadoop-common-3.5.0.jar",
        "hadoop-streaming-3.4.2.jar",
        "pom.xml",
    ]


def test_another_pom_makes_another_lib(folder: Layout, maven: Path) -> None:
    assemble(folder)
    (folder.lib / "pom.xml").write_text("<project/>")
    (folder.lib / "old.jar").touch()
    assemble(folder)
    assert not (folder.lib / "old.jar").exists()


def test_no_maven_is_said(folder: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=r"^no mvn on the PATH: Maven fetches Hadoop's jars, once"):
        assemble(folder)


def test_too_little_space_is_said_before_anything_is_fetched(
    folder: Layout, maven: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**34, 2**34 - 2**29, 2**29))
    with pytest.raises(ClusterError, match=r"^only 0.50 GiB free on the disk of .*/hadoop: the cluster needs 1 GiB$"):
        assemble(folder)
    assert list(folder.folder.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**34, 0, 2**34))
    check_space(folder.folder)
