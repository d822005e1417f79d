"""Marks that say on how many nodes a test runs; SHORT: the run on one node is among what every change must pass."""

from __future__ import annotations

from typing import Any

import pytest

__all__ = ["ONE", "ONE_AND_THREE", "ONE_AND_THREE_SHORT", "ONE_SHORT", "THREE"]


def _nodes(*counts: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("up", counts, indirect=True)


_ONE, _THREE = pytest.param(1, id="1 node"), pytest.param(3, id="3 nodes")
_SHORT = pytest.param(1, id="1 node", marks=pytest.mark.hadoop_short)
ONE, ONE_SHORT, THREE = _nodes(_ONE), _nodes(_SHORT), _nodes(_THREE)
ONE_AND_THREE, ONE_AND_THREE_SHORT = _nodes(_ONE, _THREE), _nodes(_SHORT, _THREE)
