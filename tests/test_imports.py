"""The arrows of the house, read off the sources: they only go down, and heavy packages stay in their rooms."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rbmx

ROOT = Path(rbmx.__file__).parent  # an editable install has the extension alone in __path__[0]
FILES = sorted(ROOT.rglob("*.py"))
assert len(FILES) > 50
# what each part may import from rbmx, itself aside (design.md section 2, as it stands)
LEAVES = {
    "arguments": set(),
    "errors": set(),
    "files": set(),
    "bits": set(),
    "rng": {"arguments"},
    "units": {"rng"},
    "params": {"arguments", "rng", "units"},
}
BELOW: dict[str, set[str]] = {
    **LEAVES,
    "backends": {"arguments", "params", "rng", "bits", "units", "errors"},
}
BELOW["envelope"] = BELOW["backends"] | {"backends"}
BELOW["samplers"] = BELOW["backends"] | {"backends"}
BELOW["likelihood"] = BELOW["backends"] | {"backends"}
BELOW["data"] = BELOW["backends"] | {"backends", "envelope"}
BELOW["training"] = BELOW["samplers"] | {"samplers", "likelihood", "data"}
BELOW["sklearn"] = BELOW["training"] | {"training"}
BELOW["tensors"] = {"params"}
BELOW["model_file"] = {"errors", "files"}
BELOW["checkpoint"] = BELOW["training"] | {"training", "files", "tensors", "model_file"}
BELOW["stack_checkpoint"] = BELOW["checkpoint"]
BELOW["torch_units"] = {"rng", "units"}
BELOW["marginal"] = {"units", "torch_units", "likelihood"}
BELOW["states"] = {"units", "torch_units"}
BELOW["layer"] = BELOW["checkpoint"] | {"checkpoint", "torch_units", "marginal", "states"}
BELOW["ops"] = BELOW["layer"]
BELOW["sampling"] = BELOW["layer"] | {"layer", "ops"}
BELOW["scoring"] = BELOW["sampling"] | {"sampling"}
BELOW["rbm"] = BELOW["scoring"] | {"scoring"}
BELOW["tied"] = set()
BELOW["tuning"] = BELOW["checkpoint"] | {"tied"}
BELOW["feed_forward"] = BELOW["sampling"] | {"sampling", "tied", "tuning"}
BELOW["autoencoder"] = BELOW["classifier"] = BELOW["feed_forward"] | {"feed_forward"}
BELOW["encoded"] = BELOW["tuning"] | {"tuning"}
BELOW["denoising"] = BELOW["autoencoder"] | {"autoencoder", "classifier", "encoded"}
BELOW["stack"] = BELOW["rbm"] | {"rbm"}
BELOW["dbn"] = BELOW["stack"] | BELOW["autoencoder"] | {"autoencoder", "classifier", "stack", "stack_checkpoint"}
BELOW["classrbm"] = BELOW["rbm"] | {"rbm"}
BELOW["interchange"] = {"files"}
BELOW["loading"] = {"errors", "model_file"}  # and, by the name in a file, the module of its class
BELOW["jobs"] = BELOW["checkpoint"] | {"checkpoint", "envelope", "model_file", "stack_checkpoint"}
BELOW["paper"] = BELOW["jobs"] | {"jobs"}
BELOW["report"] = BELOW["rbm"]
BELOW["bench"] = BELOW["cli"] = BELOW["rbm"] | {"rbm", "classrbm", "report", "jobs", "sklearn"}
BELOW["cli"] = BELOW["cli"] | {"bench", "loading", "stack_checkpoint"}


def module_of(path: Path) -> str:
    parts = ["rbmx", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, *, top_level: bool = False) -> Iterator[str]:
    """Full names of what is imported; names under `if TYPE_CHECKING` are not imports."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif not (top_level and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            yield from imports(node, top_level=top_level)


def part_of(name: str) -> str:
    """The part of the house that "rbmx.<part>.…" belongs to; names of the package itself belong to their home."""
    part = name.split(".")[1]
    return rbmx._HOME_OF.get(part, part).split(".")[0]


@pytest.fixture(params=FILES, ids=module_of)
def source(request: pytest.FixtureRequest) -> tuple[str, ast.Module]:
    return module_of(request.param), ast.parse(request.param.read_text())


def violations(module: str, tree: ast.AST) -> list[str]:
    if module in ("rbmx", "rbmx.__main__"):
        return []
    own = module.split(".")[1]
    assert own in BELOW, f"{module}: a new part of the house needs its arrows in this test"
    wanted = {part_of(name) for name in imports(tree) if name.startswith("rbmx.")}
    native_core = {"_core"} if module == "rbmx.backends.native" else set()
    return sorted(wanted - BELOW[own] - {own, "__version__"} - native_core)


def test_imports_only_go_down(source: tuple[str, ast.Module]) -> None:
    assert violations(*source) == []


def test_an_arrow_that_goes_up_is_found() -> None:
    """The check bites: on `import`, `from`, and imports inside functions."""
    for text in (
        "import rbmx.training.trainer",
        "from rbmx import train",
        "from rbmx.training import Trainer",
        "def f():\n    from rbmx.cli import main",
        "try:\n    from rbmx import _core\nexcept ImportError:\n    pass",
    ):
        assert violations("rbmx.data.csv", ast.parse(text)), text
    assert not violations("rbmx.training.feed", ast.parse("from rbmx.data import Dataset"))


NETS = ("tied", "tuning", "feed_forward", "autoencoder", "classifier", "encoded", "denoising", "interchange")
TORCH_MODULES = (
    "classrbm",
    "dbn",
    "stack",
    "rbm",
    "scoring",
    "sampling",
    "layer",
    "ops",
    "torch_units",
    "marginal",
    "states",
    *NETS,
)

PAPER_MODULES = ("paper.driver", "paper.nd", "paper.nnc", "paper.own_net")

ROOMS: dict[str, Callable[[str], bool]] = {
    "torch": lambda m: (
        m.removeprefix("rbmx.") in (*TORCH_MODULES, *PAPER_MODULES, "data.torch") or m.startswith("rbmx.bench.")
    ),
    "matplotlib": lambda m: m.startswith("rbmx.report."),
    "rbmx._core": lambda m: m == "rbmx.backends.native",
    "scipy_openblas32": lambda m: m == "rbmx.backends.native" or m.startswith("rbmx.bench."),
    "mrjob": lambda m: m == "rbmx.jobs.round_job",
    "sklearn": lambda m: m.startswith(("rbmx.sklearn", "rbmx.bench.")),
    "scipy": lambda m: m == "rbmx.training.minimizing" or m.startswith("rbmx.bench."),
    "pandas": lambda m: m.startswith("rbmx.bench."),
    "pyarrow": lambda m: m.startswith("rbmx.bench."),
    "onnx": lambda m: False,
    "onnxscript": lambda m: False,
    "pickle": lambda m: False,
    "random": lambda m: False,
}


@pytest.mark.parametrize("package", ROOMS)
def test_a_heavy_package_is_imported_in_its_room_only(package: str) -> None:
    for path in FILES:
        if not ROOMS[package](module_of(path)):
            names = list(imports(ast.parse(path.read_text())))
            guests = [name for name in names if name == package or name.startswith(package + ".")]
            assert not guests, f"{module_of(path)} imports {guests}"


def test_no_module_uses_a_global_random_generator() -> None:
    for path in FILES:
        module = module_of(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("np.random.", "numpy.random.")):
                assert module.startswith("rbmx.bench."), f"{module}: {ast.unparse(node)}"


def loaded(run_python: Callable[..., str], statement: str) -> set[str]:
    return set(run_python(f"{statement}\nimport sys; print(' '.join(sys.modules))").split())


def test_import_rbmx_loads_no_heavy_package(run_python: Callable[..., str]) -> None:
    modules = {name.split(".")[0] for name in loaded(run_python, "import rbmx")}
    heavy = {"torch", "mrjob", "matplotlib", "scipy", "sklearn", "tqdm", "safetensors", "scipy_openblas32", "pandas"}
    assert not modules & heavy


def test_import_rbmx_adds_little_to_import_numpy(run_python: Callable[..., str]) -> None:
    """What makes it quick: a list of modules that does not depend on how busy the machine is."""
    more = loaded(run_python, "import rbmx, numpy") - loaded(run_python, "import numpy")
    assert {name for name in more if name.startswith("rbmx")} == {"rbmx"}
    assert len(more) <= 10, sorted(more)


def test_training_from_arrays_never_loads_torch(run_python: Callable[..., str]) -> None:
    script = """
import numpy as np, rbmx, tempfile, os
params = rbmx.RBMParams.initial(4, 3, key=rbmx.Key(0))
result = rbmx.train(params, np.eye(4), rbmx.TrainConfig(epochs=1, batch_size=2))
path = os.path.join(tempfile.mkdtemp(), "m.safetensors")
rbmx.save_checkpoint(path, rbmx.Checkpoint(params, result.state))
rbmx.load_checkpoint(path)
rbmx.likelihood.log_partition(params)
"""
    modules = {name.split(".")[0] for name in loaded(run_python, script)}
    assert not modules & {"torch", "mrjob", "matplotlib", "sklearn", "pandas"}


def test_every_public_name_can_be_had_and_is_listed() -> None:
    pytest.importorskip("torch")
    assert len(set(rbmx.__all__)) == len(rbmx.__all__)
    for name in rbmx.__all__:
        assert getattr(rbmx, name) is not None
    assert set(rbmx.__all__) <= set(dir(rbmx))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        rbmx.nothing  # noqa: B018


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_every_module_but_the_first_has_a_docstring_and_names_what_it_exports(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    if path.name != "__main__.py":
        text = path.read_text()
        assert "\n__all__ = " in text or "\n__all__: " in text, f"{module_of(path)} has no __all__ (style rule 7)"
