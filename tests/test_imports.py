"""Start-up: what a command imports before its first answer."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def in_a_fresh_process(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_market_is_imported_without_pandas_and_spaces_and_mesa_loads_them_when_used():
    program = """
import sys
finders = list(sys.meta_path)
from sim.imports import import_market
import_market()
assert sys.meta_path == finders
print([name for name in ("pandas.core", "scipy.spatial") if name in sys.modules])
import sim
from mesa.datacollection import DataCollector
market = sim.Market(sim.load_scenario("baseline").replace(workloads=200, until="2023-09"))
collector = DataCollector(model_reporters={"month": "month"})
collector.collect(market)
print(len(collector.get_model_vars_dataframe()), "pandas.core" in sys.modules)
import pandas
print(pandas.DataFrame({"a": [1]}).sum().tolist())
from mesa.experimental.continuous_space import ContinuousSpace
import mesa
print(mesa.experimental.continuous_space.ContinuousSpace is ContinuousSpace, "scipy.spatial" in sys.modules)
"""
    assert in_a_fresh_process(program).splitlines() == ["[]", "1 True", "[1]", "True True"]


def test_a_module_imported_before_stays_as_it_is():
    program = """
import colorsys, sys
from sim.imports import lazily
with lazily("colorsys", "quopri"):
    import colorsys as again, quopri
print(again is colorsys, type(again).__name__, type(quopri).__name__)
print(quopri.encodestring(b"="), type(quopri).__name__)
"""
    assert in_a_fresh_process(program).splitlines() == ["True module _Waiting", "b'=3D' module"]


def test_a_module_that_is_not_there_is_missed_at_once():
    program = """
from sim.imports import lazily
with lazily("no_such_module_at_all"):
    try:
        import no_such_module_at_all
    except ModuleNotFoundError as error:
        print(error)
"""
    assert "no_such_module_at_all" in in_a_fresh_process(program)


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (["--help"], ("numpy", "mesa", "pandas", "matplotlib", "scipy", "pyarrow")),
        (["run", "--help"], ("numpy", "mesa", "pandas", "matplotlib", "scipy", "pyarrow")),
        (["validate", "baseline"], ("mesa", "pandas", "matplotlib", "scipy", "pyarrow")),
    ],
)
def test_a_command_imports_what_it_needs(arguments, unused):
    program = f"import sys; from sim.cli import main; main({arguments})"
    program += f"; print([m for m in {unused} if m in sys.modules])"
    assert in_a_fresh_process(program).splitlines()[-1] == "[]"


def test_the_outcomes_are_on_the_screen_before_anything_is_drawn(tmp_path):
    program = f"""
import sys
from sim.cli import run
outcomes = run._print_outcomes
def watched(results):
    outcomes(results)
    print([m for m in ("pandas.core", "matplotlib", "pyarrow") if m in sys.modules])
run._print_outcomes = watched
from sim.cli import main
sys.exit(main(["run", "baseline", "--runs", "1", "--workloads", "200", "--until", "2023-09", "--no-twin", "--jobs", "1",
               "--out", {str(tmp_path / "out")!r}]))
"""
    lines = in_a_fresh_process(program).splitlines()
    assert "[]" in lines
    assert lines.index("[]") < next(n for n, line in enumerate(lines) if line.startswith("Result "))


def test_a_run_writes_its_tables_without_pandas(tmp_path):
    program = f"""
import sys
from sim.imports import import_market
import_market()
import sim
scenario = sim.load_scenario("baseline").replace(runs=1, workloads=200, until="2023-08")
sim.save(sim.run(scenario), {str(tmp_path / "out")!r})
print([name for name in ("pandas.core", "scipy.spatial") if name in sys.modules])
"""
    assert in_a_fresh_process(program).splitlines() == ["[]"]


def test_kernels_that_are_kept_are_loaded_without_what_compiling_takes(tmp_path):
    program = """
import sys
import numpy as np
from sim.market.kernels.elementary import exp
print(float(exp(np.zeros(1))[0]), "numba.np.linalg" in sys.modules)
"""
    env = os.environ | {"SIM_CACHE_DIR": str(tmp_path)}
    found = [subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True) for _ in range(2)]
    assert [done.stdout for done in found] == ["1.0 True\n", "1.0 False\n"]
