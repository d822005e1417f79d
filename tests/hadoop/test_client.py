"""bin/hadoop, bin/enter and mrjob.conf, with a java that says what it was asked to do."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tools.hadoop.client import VERSION, write_client, write_script
from tools.hadoop.configuration import Settings
from tools.hadoop.java import find_java
from tools.hadoop.layout import REPOSITORY, Layout
from tools.hadoop.network import enter_script


@pytest.fixture
def client(pretended: Layout) -> Layout:
    write_client(pretended, Settings(3), find_java(), ("-XX:+UseSerialGC",))
    write_script(pretended.enter, enter_script(None, user_namespace=False))
    return pretended


def call(layout: Layout, *arguments: str, name: str = "hadoop", **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(layout.run / "bin" / name), *arguments]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=20, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ("fs -ls /a", "org.apache.hadoop.fs.FsShell -ls /a"),
        ("dfs -cat /a", "org.apache.hadoop.fs.FsShell -cat /a"),
        ("dfsadmin -report", "org.apache.hadoop.hdfs.tools.DFSAdmin -report"),
        ("jar my.jar Main in", "org.apache.hadoop.util.RunJar my.jar Main in"),
        ("jar /x/hadoop-streaming-3.4.2.jar -input a", "org.apache.hadoop.streaming.HadoopStreaming -input a"),
        ("application -list", "org.apache.hadoop.yarn.client.cli.ApplicationCLI application -list"),
        ("org.example.Main a", "org.example.Main a"),
    ],
)
def test_commands_become_classes(client: Layout, arguments: str, asked: str) -> None:
    done = call(client, *arguments.split())
    assert done.returncode == 0, done.stderr
    flags = ["-XX:+UseSerialGC", "-Xmx512m", "-cp", f"{client.lib}/*:{client.configuration}"]
    assert done.stdout.splitlines() == [*flags, *asked.split()]
    assert call(client, *arguments.split(), name="hdfs").stdout == done.stdout


def test_the_version_is_that_of_the_jars(client: Layout) -> None:
    assert call(client, "version").stdout == f"Hadoop {VERSION}\n"
    assert f"<hadoop.version>{VERSION}</hadoop.version>" in (REPOSITORY / "tools/hadoop/pom.xml").read_text()


def test_arguments_reach_java_as_they_are(client: Layout) -> None:
    odd = ["a b", "*", "", 'c"d', "$HOME"]
    assert call(client, "fs", *odd).stdout.splitlines()[5:] == odd


def test_hadoop_classpath_comes_last(client: Layout) -> None:
    assert call(client, "fs", HADOOP_CLASSPATH="/mine.jar").stdout.splitlines()[3].endswith("/etc/hadoop:/mine.jar")


@pytest.mark.parametrize("arguments", [[], ["balance"]])
def test_other_commands_are_refused(client: Layout, arguments: list[str]) -> None:
    done = call(client, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("hadoop: expected version, fs, dfs, jar,")


def test_mrjob_finds_the_command_the_jar_and_the_logs(client: Layout) -> None:
    runner = json.loads((client.run / "mrjob.conf").read_text())["runners"]["hadoop"]
    jar = "hadoop-streaming-3.4.2.jar"
    assert runner == {
        "hadoop_bin": f"{client.run}/bin/hadoop",
        "hadoop_streaming_jar": f"{client.lib}/{jar}",
        "hadoop_tmp_dir": "/tmp/mrjob",
        "hadoop_log_dirs": [f"{client.run}/logs/node{node}" for node in range(3)],
        "bootstrap_mrjob": False,
        "check_input_paths": False,
        "cleanup": ["NONE"],
    }
    assert (client.run / "share" / "hadoop" / "tools" / "lib" / jar).resolve() == client.lib / jar
