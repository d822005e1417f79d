"""What clients get: bin/hadoop and its kin, the streaming jar where mrjob looks for it, and mrjob.conf."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tools.hadoop.assemble import streaming_jar
from tools.hadoop.configuration import USER, Settings
from tools.hadoop.java import Java
from tools.hadoop.layout import Layout
from tools.hadoop.ports import port

__all__ = ["usage", "write_client"]

VERSION = "3.5.0"  # as in pom.xml
NAMENODE = "NameNode's web server"

# Maven carries Hadoop's jars but not its scripts; these are the commands that people and mrjob give.
HADOOP = """\
#!/bin/sh
# hadoop, hdfs, yarn and mapred of this cluster, whatever HADOOP_CONF_DIR says.
command=$1
[ $# -gt 0 ] && shift
export HADOOP_USER_NAME="${HADOOP_USER_NAME:-@user@}" HADOOP_HOME="@run@" HADOOP_CONF_DIR="@configuration@"
case $command in
  version) echo "Hadoop @version@" && exit ;;
  fs | dfs)
    # what needs no JVM does without
    [ "$HADOOP_FS_BY_JAVA" ] || exec "@enter@" "@python@" -I "@webhdfs@" "@namenode@" "$0" "$@" ;;
esac
case $command in
  fs | dfs) set -- org.apache.hadoop.fs.FsShell "$@" ;;
  jar)
    case $1 in
      # it is on the class path: no need to unpack it
      *hadoop-streaming*.jar) shift && set -- org.apache.hadoop.streaming.HadoopStreaming "$@" ;;
      *) set -- org.apache.hadoop.util.RunJar "$@" ;;
    esac ;;
  dfsadmin) set -- org.apache.hadoop.hdfs.tools.DFSAdmin "$@" ;;
  fsck) set -- org.apache.hadoop.hdfs.tools.DFSck "$@" ;;
  job) set -- org.apache.hadoop.mapred.JobClient "$@" ;;
  app | application) set -- org.apache.hadoop.yarn.client.cli.ApplicationCLI "$command" "$@" ;;
  node) set -- org.apache.hadoop.yarn.client.cli.NodeCLI "$@" ;;
  classpath) echo "@classpath@" && exit ;;
  *.*) set -- "$command" "$@" ;;
  *)
    echo "hadoop: expected version, fs, dfs, jar, dfsadmin, fsck, job, application, node, classpath or a class," \\
      "got '$command'" >&2
    exit 2 ;;
esac
exec "@enter@" "@java@" @flags@ -Xmx512m -cp "@classpath@${HADOOP_CLASSPATH:+:$HADOOP_CLASSPATH}" "$@"
"""


def write_client(layout: Layout, settings: Settings, java: Java, jvm: tuple[str, ...]) -> None:
    """Write the commands, the link to the streaming jar and mrjob.conf; bin/enter is written when the network is."""
    text = HADOOP
    for word, value in {
        "user": USER,
        "run": layout.run,
        "configuration": layout.configuration,
        "classpath": f"{layout.lib}/*:{layout.configuration}",
        "enter": layout.enter,
        "version": VERSION,
        "python": sys.executable,
        "webhdfs": Path(__file__).with_name("webhdfs.py"),
        "namenode": f"127.0.0.1:{port(settings.base, NAMENODE)}",
        "java": java.binary,
        "flags": " ".join(jvm).replace("@name@", "client$$"),
    }.items():
        text = text.replace(f"@{word}@", str(value))
    write_script(layout.hadoop, text)
    for name in ("hdfs", "yarn", "mapred"):
        layout.hadoop.with_name(name).symlink_to(layout.hadoop.name)
    jar = streaming_jar(layout)
    link = layout.run / "share" / "hadoop" / "tools" / "lib" / jar.name
    link.parent.mkdir(parents=True)
    link.symlink_to(jar)
    runner = {
        "hadoop_bin": str(layout.hadoop),
        "hadoop_streaming_jar": str(jar),
        "hadoop_tmp_dir": "/tmp/mrjob",
        "hadoop_log_dirs": [f"{layout.logs}/node{node}" for node in range(settings.nodes)],
        # all that costs a JVM or a copy and gains nothing here
        "bootstrap_mrjob": False,
        "check_input_paths": False,
        "cleanup": ["NONE"],
    }
    # JSON is YAML too
    (layout.run / "mrjob.conf").write_text(json.dumps({"runners": {"hadoop": runner}}, indent=2) + "\n")


def write_script(path: Path, text: str) -> None:
    """Write an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def usage(layout: Layout) -> str:
    """How to use a cluster that is up."""
    return f"""\
  export HADOOP_HOME={layout.run} HADOOP_CONF_DIR={layout.configuration}
  $HADOOP_HOME/bin/hadoop fs -ls /
  rbmx train-mr hdfs:///DATA -r hadoop -c {layout.run}/mrjob.conf ...
  make hadoop-down"""
