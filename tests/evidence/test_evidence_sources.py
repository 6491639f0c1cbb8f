import csv
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sim.evidence
from sim.errors import InvariantError
from sim.evidence import releases, sources, table
from sim.evidence import tables as tables_module
from sim.evidence.imputation import RULE_SD, leave_one_out
from sim.evidence.releases import measured_models

FOLDER = Path(sim.evidence.__file__).parent
DOCUMENT = Path(__file__).parents[2] / "docs" / "evidence.md"


def test_the_register_lists_every_data_file_with_its_hash_and_rows():
    registered = {s.file: s for s in sources()}
    assert set(registered) == {path.name for path in FOLDER.glob("*.csv")} - {"sources.csv"}
    for name, entry in registered.items():
        assert entry.sha256 == hashlib.sha256((FOLDER / name).read_bytes()).hexdigest(), name
        assert entry.rows == len(table(name.removesuffix(".csv")))
        assert entry.what
        assert entry.sources
        assert re.fullmatch(r"20\d\d-\d\d", entry.retrieved)


def test_the_hashes_in_the_document_equal_the_files():
    text = (FOLDER / "SOURCES.md").read_text(encoding="utf-8")
    written = dict(reversed(line.split("  ")) for line in re.findall(r"^[0-9a-f]{64}  \S+$", text, re.M))
    assert written == {s.file: s.sha256 for s in sources()}


def test_every_observed_row_names_a_source():
    column = {
        "releases": "source",
        "observations": "source",
        "price_events": "source_url",
        "policy_events": "source_url",
        "lmarena_gap": "source",
    }
    for name, source in column.items():
        assert all(row[source].strip() for row in table(name)), name
    for entry in sources():
        if entry.kind == "observed" and "column" not in entry.sources:
            assert "https://" in entry.sources


def test_tables_are_read_as_the_csv_module_reads_them_and_cannot_be_changed():
    with open(FOLDER / "releases.csv", encoding="utf-8", newline="") as file:
        assert [dict(row) for row in table("releases")] == list(csv.DictReader(file))
    with pytest.raises(TypeError):
        table("releases")[0]["lab"] = "X"  # type: ignore[index]


def test_a_damaged_table_is_named_with_its_line(tmp_path, monkeypatch):
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n3\n", encoding="utf-8")
    monkeypatch.setattr(tables_module, "FOLDER", tmp_path)
    with pytest.raises(InvariantError, match=r"broken\.csv:3: 1 fields, not 2"):
        table("broken")


def test_reading_the_evidence_loads_no_heavy_library():
    code = (
        "import sys, sim.evidence as e; e.releases(); e.observations(); e.world_stock(650); e.china_legal_stock(650);"
        "print([m for m in ('pandas', 'scipy', 'mesa', 'pyarrow', 'matplotlib', 'numpy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_document_lists_every_imputed_value_as_the_reader_gives_it():
    text = DOCUMENT.read_text(encoding="utf-8")
    imputed = [r for r in releases() if r.capability_basis != "measured"]
    for r in imputed:
        rule = r.capability_basis.removeprefix("imputed: ")
        assert f"| {r.date} | {r.lab} | {r.model} | {r.capability:.1f} | {rule} | {r.capability_sd} |" in text
    assert len(re.findall(r"^\| 20\d\d-\d\d-\d\d \| .* \| \d\.\d \|$", text, re.M)) == len(imputed) == 26
    for entry in sources():
        assert f"| `{entry.file}` | {entry.kind} | {entry.rows} |" in text


def test_the_document_states_the_measured_errors_of_the_rule():
    text = DOCUMENT.read_text(encoding="utf-8")
    errors = leave_one_out(measured_models())
    for rule in ("interpolated", "carried", "shortfall"):
        cases = [error for step, _, error in errors if step == rule]
        size = (sum(e * e for e in cases) / len(cases)) ** 0.5
        row = next(line for line in text.splitlines() if line.startswith(f"| {rule} |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1] == str(len(cases))
        assert float(cells[3]) == pytest.approx(size, abs=0.051)
        assert float(cells[6]) == RULE_SD[rule]
