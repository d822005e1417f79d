"""up, down and their like, with daemons that only pretend: what is said, and that nothing is left."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tools.hadoop import network
from tools.hadoop.cluster import Cluster
from tools.hadoop.configuration import Settings
from tools.hadoop.errors import ClusterError
from tools.hadoop.layout import Layout

Run = Callable[..., tuple[int, str]]
UP = ("up", "--private", "no", "--base", "25000")


@pytest.fixture
def half_up(pretended: Layout, hadoop: Callable[..., subprocess.Popen[str]]) -> Iterator[subprocess.Popen[str]]:
    """A start that waits for a NameNode that will never be ready, with all that it has started."""
    with hadoop(*UP, "--nodes", "2") as process:
        deadline = time.monotonic() + 20
        while len(Cluster(pretended).daemons()) < 6:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process
        process.kill()


def test_a_daemon_that_dies_takes_the_rest_down(pretended: Layout, run_hadoop: Run) -> None:
    status, said = run_hadoop(*UP, DIES="nm0")
    assert status == 1
    assert said.splitlines()[-1] == (
        "hadoop: the NodeManager of node 0 ended with exit status 1: java.lang.IllegalStateException: told to die "
        f"(log: {pretended.log('nm0')})"
    )
    assert Cluster(pretended).daemons() == {}
    assert pretended.log("nm0").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing(
    pretended: Layout, half_up: subprocess.Popen[str], number: signal.Signals
) -> None:
    half_up.send_signal(number)
    assert half_up.communicate(timeout=20)[1].startswith("hadoop: interrupted;")
    assert half_up.returncode == 130
    assert Cluster(pretended).daemons() == {}


def test_what_a_killed_start_has_left_is_named_and_taken_down(
    pretended: Layout, half_up: subprocess.Popen[str], run_hadoop: Run
) -> None:
    half_up.kill()
    half_up.wait()
    status, said = run_hadoop(*UP, "--nodes", "2")
    assert status == 1
    assert said == (
        f"hadoop: a part of the cluster is up, without jhs (log: {pretended.log('jhs')}): stop it first, "
        "or restart what is missing\n"
    )
    assert run_hadoop("status")[0] == 1
    assert run_hadoop("down") == (0, "stopped: dn0, dn1, nm0, nm1, nn, rm\n")
    assert run_hadoop("down") == (0, f"nothing of {pretended.run} is up\n")
    assert not any(pretended.run.glob("node*"))


def test_two_starts_do_not_meet(pretended: Layout, half_up: subprocess.Popen[str], run_hadoop: Run) -> None:
    for command in (UP, ("down",)):
        status, said = run_hadoop(*command)
        assert (status, said) == (1, f"hadoop: another start or stop is at work on {pretended.run}: wait for it\n")
    assert half_up.poll() is None


def test_daemons_are_found_killed_and_restarted(pretended: Layout, half_up: subprocess.Popen[str]) -> None:
    half_up.kill()  # or it would take all down when it sees one die
    cluster = Cluster(pretended)
    before = cluster.pid("nm1")
    cluster.kill("nm1")
    assert cluster.missing() == ["jhs", "nm1"]
    with pytest.raises(ClusterError, match=f"^no nm1 runs in {pretended.run}: dn0, dn1, nm0, nn, rm does$"):
        cluster.pid("nm1")
    assert cluster.restart("nm1") == cluster.pid("nm1") != before
    again = cluster.pid("nm1")
    assert cluster.restart("nm1") == cluster.pid("nm1") != again
    with pytest.raises(ClusterError, match=r"^no daemon nm2: expected one of nn, rm, jhs, dn0, dn1, nm0, nm1$"):
        cluster.restart("nm2")


def test_a_folder_that_never_was_has_nothing_to_stop(layout: Layout, run_hadoop: Run) -> None:
    assert run_hadoop("down") == (0, f"nothing of {layout.run} is up\n")
    assert not layout.folder.exists()


def test_bad_settings_are_refused_before_anything_is_written(layout: Layout, run_hadoop: Run) -> None:
    assert run_hadoop("up", "--nodes", "5") == (1, "hadoop: NODES=5: expected 1, 2 or 3\n")
    assert run_hadoop("up", "--profile", "tiny") == (1, "hadoop: PROFILE=tiny: expected one of default, paper\n")
    assert run_hadoop("up", "--base", "80")[1].startswith("hadoop: BASE=80: ports 80 to 96 must lie within")
    assert not layout.folder.exists()


def test_without_java_or_maven_it_says_so(layout: Layout, run_hadoop: Run) -> None:
    status, said = run_hadoop("up", JAVA_HOME="/nowhere")
    assert (status, said.partition(":")[2].partition(":")[0]) == (1, " no java in JAVA_HOME=/nowhere")


def test_a_private_network_that_may_not_be_is_refused_only_if_it_must_be(
    pretended: Layout, run_hadoop: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert network.way() is None
    status, said = run_hadoop("up", "--private", "yes", PATH="/nowhere")
    assert status == 1
    assert said.startswith("hadoop: PRIVATE=yes: this user may not make a network namespace")


def test_the_settings_of_what_runs_are_compared(pretended: Layout, half_up: subprocess.Popen[str]) -> None:
    half_up.kill()  # or it would take all down when it sees one die
    cluster = Cluster(pretended)
    assert cluster.restart("jhs") == cluster.pid("jhs")
    cluster.check_same(Settings(2, base=25000))
    message = "^a cluster with NODES=2, PROFILE=default, BASE=25000 is up: stop it before one with NODES=1, "
    with pytest.raises(ClusterError, match=message):
        cluster.check_same(Settings(1, base=25000))
