"""The settings by profile and nodes, as the files say them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tools.hadoop.configuration import Settings, node_sites, sites, write_configuration
from tools.hadoop.errors import ClusterError
from tools.hadoop.layout import Layout


def values(layout: Layout, settings: Settings, node: int = 0) -> dict[str, str]:
    """All settings of a node's processes in one."""
    merged = node_sites(layout, settings, node, sites(layout, settings, ("-XX:+UseSerialGC",)))
    return {name: value for site in merged.values() for name, value in site.items()}


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_the_paper_profile_is_table_iii(layout: Layout, nodes: int) -> None:
    said = values(layout, Settings(nodes, "paper"))
    table = {
        "yarn.nodemanager.resource.memory-mb": "10240",
        "yarn.scheduler.maximum-allocation-mb": "8192",
        "yarn.scheduler.minimum-allocation-mb": "512",
        "mapreduce.map.memory.mb": "2048",
        "mapreduce.reduce.memory.mb": "2048",
        "yarn.nodemanager.vmem-check-enabled": "false",
        "yarn.nodemanager.resource.cpu-vcores": "4",
    }
    assert {name: said[name] for name in table} == table


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_a_node_has_room_for_a_master_and_two_tasks(layout: Layout, nodes: int) -> None:
    said = values(layout, Settings(nodes))
    node, task = (int(said[name]) for name in ("yarn.nodemanager.resource.memory-mb", "mapreduce.map.memory.mb"))
    assert int(said["yarn.app.mapreduce.am.resource.mb"]) + 2 * task <= node
    assert task <= int(said["yarn.scheduler.maximum-allocation-mb"]) <= 8192


def test_clients_need_no_settings_of_their_own_to_be_fast(layout: Layout) -> None:
    said = values(layout, Settings())
    for name in (
        "mapreduce.client.completion.pollinterval",
        "mapreduce.client.progressmonitor.pollinterval",
        "yarn.app.mapreduce.am.scheduler.heartbeat.interval-ms",
    ):
        assert said[name] == "100"
    assert said["yarn.resourcemanager.nodemanagers.heartbeat-interval-ms"] == "100"
    for who in ("mapreduce.admin.map.child.java.opts", "yarn.app.mapreduce.am.admin-command-opts"):
        assert said[who].startswith(f"-XX:+UseSerialGC -cp {layout.lib}/*:{layout.configuration}:job.jar/job.jar:")


def test_a_lost_node_is_noticed_in_seconds(layout: Layout) -> None:
    said = values(layout, Settings(3))
    assert said["yarn.nm.liveness-monitor.expiry-interval-ms"] == "10000"
    assert said["yarn.client.nodemanager-connect.max-wait-ms"] == "3000"
    assert (said["dfs.heartbeat.interval"], said["dfs.namenode.heartbeat.recheck-interval"]) == ("1", "2000")
    assert [values(layout, Settings(nodes))["dfs.replication"] for nodes in (1, 2, 3)] == ["1", "2", "2"]


def test_every_address_is_loopback_and_no_two_are_the_same(layout: Layout) -> None:
    found: dict[str, str] = {}
    for node in range(3):
        for name, value in values(layout, Settings(3, base=23000), node).items():
            own = "datanode" in name or "nodemanager" in name
            if name.endswith("address"):
                found[f"{name} {node if own else ''}"] = value
    assert all(re.fullmatch(r"127\.0\.0\.1:230\d\d", value) for value in found.values()), found
    assert len(found) == len(set(found.values())) == 9 + 3 * 6


def test_nodes_share_no_folder(layout: Layout) -> None:
    names = ("dfs.datanode.data.dir", "yarn.nodemanager.local-dirs", "yarn.nodemanager.log-dirs")
    folders = [values(layout, Settings(3), node)[name] for node in range(3) for name in names]
    assert len(set(folders)) == 9


@pytest.mark.parametrize("nodes", [0, 4, -1])
def test_other_numbers_of_nodes_are_refused(nodes: int) -> None:
    with pytest.raises(ClusterError, match=rf"^NODES={nodes}: expected 1, 2 or 3$"):
        Settings(nodes)


def test_other_profiles_are_refused() -> None:
    with pytest.raises(ClusterError, match=r"^PROFILE=fast: expected one of default, paper$"):
        Settings(1, "fast")


def test_the_files_say_what_the_settings_are(layout: Layout) -> None:
    settings = Settings(2, "paper", 23000)
    write_configuration(layout, settings, ())
    for folder, said in [
        (layout.configuration, sites(layout, settings, ())),
        (layout.node_configuration(1), node_sites(layout, settings, 1, sites(layout, settings, ()))),
    ]:
        assert {name: read(folder / f"{name}.xml") for name in said} == said
    assert "NativeCodeLoader=ERROR" in (layout.configuration / "log4j.properties").read_text()


def read(path: Path) -> dict[str, str]:
    """The properties of a site file."""
    root = ElementTree.parse(path).getroot()
    return {str(each.findtext("name")): str(each.findtext("value")) for each in root}


@pytest.mark.parametrize("name", ["a b", "a,b", "a:b", "a$b", "a&b"])
def test_a_folder_that_settings_cannot_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ClusterError, match="Hadoop's settings cannot hold a path with"):
        Layout.of(tmp_path / name)
