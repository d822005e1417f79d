"""Which port is whose."""

from __future__ import annotations

import socket

import pytest

from tools.hadoop.errors import ClusterError
from tools.hadoop.ports import check_base, check_free, plan


@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_no_port_is_used_twice_or_for_outgoing_connections(nodes: int) -> None:
    ports = plan(21000, nodes)
    assert len(ports) == len(set(ports.values())) == 10 + 7 * nodes
    assert min(ports) == 21000
    assert max(ports) < 32768


@pytest.mark.parametrize(("base", "nodes"), [(1023, 1), (32760, 1), (32735, 3), (-1, 1)])
def test_ports_beyond_the_range_are_refused(base: int, nodes: int) -> None:
    with pytest.raises(ClusterError, match=rf"^BASE={base}: ports {base} to \d+ must lie within 1024 to 32767$"):
        check_base(base, nodes)


def test_ports_at_the_ends_of_the_range_are_fine() -> None:
    check_base(1024, 3)
    check_base(32767 - 36, 3)


def test_a_taken_port_is_named_with_its_owner() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 24026))
        listener.listen()
        check_free(24000, 1)
        message = r"^port 24026 is taken and the NodeManager's shuffle of node 1 needs it: .* BASE= \(now 24000\)$"
        with pytest.raises(ClusterError, match=message):
            check_free(24000, 2)
    check_free(24000, 2)
