"""A network of the cluster's own: a namespace with nothing but loopback, where the machine allows one.

The shuffle and the jobs' masters listen on all addresses and cannot be told otherwise; in the namespace nobody outside
can reach them, and no port can be taken.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import urllib.request
from typing import Any

from tools.hadoop.errors import ClusterError
from tools.hadoop.layout import Layout
from tools.hadoop.processes import NAME, Process, identify, launch

__all__ = ["WAYS", "check", "enter_script", "get", "hold", "is_inside", "raise_loopback", "way"]

WAYS = {
    "root": ("unshare", "--net", "--uts"),
    "user": ("unshare", "--user", "--map-root-user", "--net", "--uts"),
}
GET_FLAGS, SET_FLAGS, FLAGS, UP = 0x8913, 0x8914, "16sH22x", 1  # linux/sockios.h, struct ifreq, IFF_UP
HOLD = "import signal; signal.pause()"
FETCH = "import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1], timeout=10).read())"


def way() -> str | None:
    """Which of WAYS makes a namespace for a command that follows it; None where this user may not."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return None
    for name, prefix in WAYS.items():
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return name
    return None


def raise_loopback() -> None:
    """In a new namespace: switch loopback on, and take its name, which needs no name server to resolve."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SET_FLAGS, struct.pack(FLAGS, b"lo", _flags_of_loopback() | UP))
    socket.sethostname("localhost")


def _flags_of_loopback() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, GET_FLAGS, struct.pack(FLAGS, b"lo", 0))
    return int(struct.unpack(FLAGS, answer)[1])


def check() -> None:
    """A ClusterError where loopback is off, or this machine's name does not resolve: YARN asks for its address."""
    if not _flags_of_loopback() & UP:
        raise ClusterError("loopback is off in this network namespace: `ip link set lo up` switches it on")
    name = socket.gethostname()
    try:
        socket.gethostbyname(name)
    except OSError:
        raise ClusterError(
            f"this machine's name, {name}, does not resolve: add `127.0.0.1 {name}` to /etc/hosts"
        ) from None


def hold(layout: Layout) -> Process:
    """Start the process that keeps this namespace alive and by which others enter it."""
    command = [sys.executable, "-I", "-S", "-c", HOLD, layout.mark, f"{NAME}network"]
    holder = launch(command, layout.run, layout.log("network"), {})
    process = identify(holder.pid)
    if process is None:
        raise ClusterError(f"the process that holds the cluster's network ended with exit status {holder.wait()}")
    return process


def enter_script(holder: Process | None, *, user_namespace: bool) -> str:
    """A shell script that runs its arguments in the holder's network; on this machine's where there is none."""
    lines = ["#!/bin/sh", "# Run a command in the network of the cluster."]
    if holder is not None:
        network = os.readlink(f"/proc/{holder.pid}/ns/net")
        ways = "--user --preserve-credentials --net --uts" if user_namespace else "--net --uts"
        lines += [
            f"if [ \"$(readlink /proc/self/ns/net)\" != '{network}' ] &&",
            f"   [ \"$(readlink /proc/{holder.pid}/ns/net)\" = '{network}' ]; then",
            f'  exec nsenter --target {holder.pid} {ways} -- "$@"',
            "fi",
        ]
    return "\n".join([*lines, 'exec "$@"', ""])


def is_inside(holder: Process | None) -> bool:
    """Whether this process is in the cluster's network already."""
    if holder is None:
        return True
    try:
        return os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:
        return False


def get(layout: Layout, holder: Process | None, url: str) -> Any:
    """The JSON at `url` of the cluster, from wherever this process runs; OSError where nobody answers."""
    if is_inside(holder):
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)
    command = [str(layout.enter), sys.executable, "-I", "-S", "-c", FETCH, url]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"{url}: {done.stderr.decode(errors='replace').strip().splitlines()[-1]}")
    return json.loads(done.stdout)
