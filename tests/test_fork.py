"""A child of a process that has used threads works, alone if it must, and does not hang (libgomp would)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

SCRIPT = """
import multiprocessing, sys, warnings
import numpy as np
import rbmx

def work(real):
    rng = np.random.default_rng(0)
    data = rng.random((400, 70)) if real else rng.integers(0, 2, (400, 70))
    params = rbmx.RBMParams.initial(70, 65, key=rbmx.Key(1))
    rbmx.set_num_threads(3)
    rbmx.train(params, data, rbmx.TrainConfig(epochs=2, batch_size=20, reproducible=True))
    return params.weight.tobytes()

def child(queue, real):
    queue.put(work(real))

if __name__ == "__main__":
    method, used, real = sys.argv[1], sys.argv[2] == "used", sys.argv[3] == "real"
    expected = work(real) if used else None
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    children = [context.Process(target=child, args=(queue, real), daemon=True) for _ in range(2)]
    for process in children:
        # Python 3.12 warns at fork in a process with threads: that is what is tested here
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
    found = [queue.get(timeout=40) for _ in children]
    for process in children:
        process.join(40)
        assert process.exitcode == 0, process.exitcode
    assert work(real) == found[0] == found[1]
    assert expected in (None, found[0])
    print("fine")
"""


@pytest.mark.parametrize("rows", ["bits", "real"])
@pytest.mark.parametrize("parent", ["used", "unused"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_trains_to_the_same_bytes(method: str, parent: str, rows: str, run_script: Callable[..., str]) -> None:
    assert run_script(SCRIPT, method, parent, rows).strip() == "fine"


GRANDCHILD = """
import os, sys
import numpy as np
import rbmx

def work():
    params = rbmx.RBMParams.initial(70, 65, key=rbmx.Key(1))
    rbmx.set_num_threads(2)
    rbmx.train(params, np.eye(70), rbmx.TrainConfig(epochs=1, batch_size=20))

work()
child = os.fork()
if child == 0:
    work()
    grandchild = os.fork()
    if grandchild == 0:
        work()
        os._exit(7)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
work()
print("fine")
"""


def test_a_grandchild_works_too(run_script: Callable[..., str]) -> None:
    assert run_script(GRANDCHILD).strip() == "fine"
