"""The shape of the code: imports go one way, nothing random, nothing dangerous, nothing left open."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SIM = ROOT / "sim"
SOURCES = sorted(p for p in SIM.rglob("*.py") if "scenarios" not in p.parts)

# A package may import those before it in this order, and itself. Single modules count as the layer named here.
LAYERS = [
    {"errors", "months", "rng", "imports", "interrupts"},
    {"columns", "environment"},
    {"evidence", "storage", "record"},
    {"scenario"},
    {
        *("content", "identities", "manifest", "parquet", "summary", "precision"),
        *("result_folder", "export", "verify", "results", "differences"),
    },
    {"market"},
    {"theory"},
    {"experiment"},
    {"analysis"},
    {"present"},
    {"cli", "__main__", "__init__"},
]


def layer(module: str) -> int:
    for level, names in enumerate(LAYERS):
        if module in names:
            return level
    raise AssertionError(f"sim.{module} has no place in LAYERS")


def own_imports(tree: ast.AST):
    """Yield (module, at top level) of every import of the package, lazy ones too."""
    top = set(ast.iter_child_nodes(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "sim":
            parts = node.module.split(".")[1:]
            for name in [parts[0]] if parts else [alias.name for alias in node.names]:
                yield name, node in top
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("sim."):
                    yield alias.name.split(".")[1], node in top


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_one_way(path):
    relative = path.relative_to(SIM)
    home = relative.parts[0].removesuffix(".py")
    if home == "__init__":
        return
    for module, _ in own_imports(ast.parse(path.read_text())):
        if module in ("__version__",):
            continue
        if home == "results" and module == "present":
            continue  # Results.figure draws on request, the one step up
        assert layer(module) <= layer(home), f"{relative} imports sim.{module}, a later layer"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_dangerous_random_or_left_open(path):
    text = path.read_text()
    tree = ast.parse(text)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            assert name.split(".")[0] not in {"random", "pickle", "marshal", "shelve", "yaml"}, f"imports {name}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec"}, f"line {node.lineno}: {node.func.id}"
        if isinstance(node, ast.keyword) and node.arg == "shell":
            raise AssertionError(f"line {node.value.lineno}: shell=")
        if isinstance(node, ast.Attribute) and node.attr == "random" and isinstance(node.value, ast.Name):
            assert node.value.id not in {"np", "numpy"}, f"line {node.lineno}: NumPy's own random numbers"
        if isinstance(node, (ast.For, ast.comprehension)):
            assert not isinstance(node.iter, ast.Set), "iteration over a set has no fixed order"
            called = node.iter.func if isinstance(node.iter, ast.Call) else None
            assert not (isinstance(called, ast.Name) and called.id in {"set", "frozenset"}), "iteration over a set"
    assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", text)


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.relative_to(SIM).parts[0] == "market"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_floats_of_the_model_are_not_added_with_the_built_in_sum(path):
    """Python 3.12 changed how `sum` rounds; `math.fsum` and NumPy give the same bits on every version."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "sum", f"line {node.lineno}"


# NumPy has several forms of these and takes the one for the processor; a library of matrix products has more.
OTHER_BITS = re.compile(
    r"exp2?|expm1|log|log2|log10|log1p|logaddexp2?|power|float_power|sin|cos|tan|arctan2?|sinh|cosh|tanh|cbrt"
    r"|dot|vdot|inner|tensordot|matmul|linalg"
)


@pytest.mark.parametrize(
    "path", [p for p in SOURCES if p.relative_to(SIM).parts[0] == "market"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_the_model_takes_no_function_of_numpy_that_differs_between_processors(path):
    """`sim/market/kernels/elementary.py` has those that the model needs."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
            assert not OTHER_BITS.fullmatch(node.attr), f"line {node.lineno}: np.{node.attr}"
        assert not isinstance(node, ast.MatMult), "a product of matrices"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_functions_and_classes_say_what_they_are(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), "the module has no docstring"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(out.stdout.split("\n")[-2].split())


HEAVY = {"mesa", "numba", "numpy", "scipy", "pandas", "pyarrow", "matplotlib"}


@pytest.mark.parametrize(
    "code",
    ["import sim", "from sim.cli import main\nmain(['--help'])", "from sim.cli import main\nmain(['run', '--help'])"],
)
def test_the_first_answers_load_no_heavy_library(code):
    assert not loaded_by(code) & HEAVY


def test_rejecting_a_scenario_loads_no_heavy_library(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: bad\nparameters:\n  demand.valeu: 3\n")
    code = f"from sim.cli import main\nassert main(['run', {str(bad)!r}]) == 2"
    assert not loaded_by(code) & (HEAVY - {"numpy"})


def test_every_public_name_can_be_had():
    import sim

    for name in sim.__all__:
        assert getattr(sim, name) is not None
    with pytest.raises(AttributeError):
        _ = sim.nothing_of_the_kind


def test_the_version_stands_in_one_more_place_only():
    import sim

    assert f'version = "{sim.__version__}"' in (ROOT / "pyproject.toml").read_text()
