"""The wheel carries what the command needs, and works away from the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Return a wheel built from the repository."""
    place = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", place, ROOT]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    (built,) = place.glob("sim-*.whl")
    return built


def test_the_wheel_holds_scenarios_and_evidence_and_no_test(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for scenario in sorted((ROOT / "scenarios").glob("*.yaml")):
        assert f"sim/scenarios/{scenario.name}" in names
    for table in sorted((ROOT / "sim/evidence").glob("*.csv")):
        assert f"sim/evidence/{table.name}" in names
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


def test_an_installed_wheel_runs_a_packaged_scenario_anywhere(wheel, tmp_path):
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    away = tmp_path / "away"
    away.mkdir()
    run = "import sim, sys; print(sim.__file__); from sim.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["run", "chip-thaw", "--runs", "1", "--workloads", "300", "--until", "2026-04", "--jobs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", run, *arguments],
        cwd=away,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
    assert (away / "outputs/chip-thaw/manifest.json").exists()


def test_the_schema_beside_the_scenarios_is_the_one_the_command_prints():
    done = subprocess.run([sys.executable, "-m", "sim", "schema"], capture_output=True, text=True, check=True, cwd=ROOT)
    stored = (ROOT / "scenarios/scenario.schema.json").read_text()
    assert stored.strip() == done.stdout.strip(), "run: sim schema -o scenarios/scenario.schema.json --force"


def test_requirement_files_are_hashed_and_name_no_place():
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        for line in path.read_text().splitlines():
            text = line.strip().removesuffix("\\").strip()
            assert not text.startswith("-") or re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", text), f"{path.name}: {line}"
            assert "://" not in text, f"{path.name}: {line}"
            if text and not text.startswith("--hash"):
                assert "==" in text, f"{path.name}: {line}"


def direct_requirements():
    """Return name and rest of each line of the dependencies."""
    project = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[\n(.*?)^\]", project, flags=re.S | re.M)
    assert block
    return re.findall(r'^\s*"([A-Za-z0-9._-]+)([^"]*)"', block[1], flags=re.M)


def test_every_direct_requirement_is_locked_and_named_in_the_manifest():
    from sim.environment import machine

    locked, named = (ROOT / "requirements/run.txt").read_text().lower(), machine()["libraries"]
    for name, _ in direct_requirements():
        assert name in named
        assert re.search(rf"^{re.escape(name.lower().replace('.', '-'))}==", locked, flags=re.M), name


def test_the_compiler_ends_before_its_next_minor_version():
    """Kernels use parts of Numba and llvmlite that are not for users; another minor version may change them."""
    locked, asked = (ROOT / "requirements/run.txt").read_text(), dict(direct_requirements())
    for name in ("numba", "llvmlite"):
        found = re.search(rf"^{name}==0\.(\d+)\.", locked, flags=re.M)
        assert found
        assert asked[name].endswith(f",<0.{int(found[1]) + 1}")
