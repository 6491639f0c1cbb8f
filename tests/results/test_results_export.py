"""Copies for other programs: nothing in them can act, every number is the number."""

from __future__ import annotations

import csv
import html
import io
import os
import re
import zipfile

import numpy as np
import pytest
from click.testing import CliRunner

from sim.cli.results import export
from sim.columns import TABLES
from sim.content import combine
from sim.errors import UsageError
from sim.export import SHEET_ROWS, check_fits_sheets, safe_text, table_csv, workbook
from sim.record import Record
from sim.results import load_results, save
from sim.verify import verify_folder

from .samples import START, made_up_results, recorded_run

PAYLOADS = [
    '=HYPERLINK("http://evil.example","click")',
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\0=1+1",
    "{=1+1}",
    "http://evil.example",
    "mailto:x@evil.example",
    "internal:Sheet1!A1",
    "<script>alert(1)</script>",
    "a,b",
    'a"b',
    "a\nb",
    "1e5",
    "",
    " =1",
    "Größe 大",
]


def results_with_texts(texts):
    """Return results in which every text column holds the given texts."""
    record = Record(START, START)
    record.write_market(START, open_price=-1.5, closed_price=np.nan, equilibrium_status=texts[0])
    labels = np.array(texts, dtype=object)
    record.append("labs", START, lab=labels, bloc=labels, revenue=np.arange(len(texts)) - 10.5)
    tables = combine([record.tables()])
    return made_up_results(tables=tables, title=texts[0])


def rows_of(data):
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))


def test_no_text_in_csv_can_start_a_formula():
    tables = results_with_texts(PAYLOADS).tables
    header, *rows = rows_of(table_csv("labs", tables["labs"]))
    assert len(rows) == len(PAYLOADS)
    labs = [row[header.index("lab")] for row in rows]
    for text in labs:
        assert not text.startswith(("=", "+", "-", "@", "\t", "\r", "\0"))
    assert [text.removeprefix("'") for text in labs] == tables["labs"]["lab"].tolist()


def test_negative_numbers_stay_numbers_and_missing_values_are_empty():
    market = results_with_texts(["a"]).tables["market"]
    header, row = rows_of(table_csv("market", market))
    assert row[header.index("open_price")] == "-1.5"
    assert row[header.index("closed_price")] == ""
    assert row[header.index("month")] == "2025-10-01"


def test_ordinary_text_is_left_alone():
    assert safe_text("DeepSeek V3.1") == "DeepSeek V3.1"
    assert safe_text(None) == ""
    assert safe_text("=1") == "'=1"


def test_csv_numbers_read_back_to_the_bit():
    tables = combine([recorded_run(0)])
    for name, table in TABLES.items():
        header, *rows = rows_of(table_csv(name, tables[name]))
        assert header == [column.name for column in table.columns]
        for column in table.values:
            if column.kind == "float64":
                at = header.index(column.name)
                read = np.array([float(row[at]) if row[at] else np.nan for row in rows])
                assert read.tobytes() == tables[name][column.name].tobytes()


def sheets_of(data):
    """Return the XML of each sheet by name."""
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        names = re.findall(r'<sheet name="([^"]+)"', book.read("xl/workbook.xml").decode())
        return {name: book.read(f"xl/worksheets/sheet{place}.xml").decode() for place, name in enumerate(names, 1)}


def test_workbook_holds_texts_as_strings_and_no_formula_or_link():
    data = workbook(results_with_texts(PAYLOADS))
    sheets = sheets_of(data)
    for sheet in sheets.values():
        assert "<f>" not in sheet
        assert "hyperlink" not in sheet.lower().replace("hyperlink(", "")
    strings = re.findall(r'<c r="C\d+" t="inlineStr"><is><t[^>]*>([^<]*)</t></is></c>', sheets["labs"])
    assert {html.unescape(text) for text in strings} >= {PAYLOADS[0], "=1+1", "<script>alert(1)</script>", "1e5"}
    with zipfile.ZipFile(io.BytesIO(data)) as book:
        assert not [name for name in book.namelist() if "external" in name.lower() or "vba" in name.lower()]


def test_workbook_has_a_sheet_for_each_table_with_units_and_a_frozen_header():
    results = made_up_results(runs=1)
    sheets = sheets_of(workbook(results))
    assert list(sheets) == ["about", *TABLES, "summary"]
    for name in TABLES:
        assert 'state="frozen"' in sheets[name]
        assert len(re.findall("<row ", sheets[name])) == len(results.tables[name]["run"]) + 2
    assert "USD/Mtok" in sheets["market"]
    price = repr(float(results.tables["market"]["open_price"][0]))
    at = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[[column.name for column in TABLES["market"].columns].index("open_price")]
    found = re.search(rf'<c r="{at}3"><v>([^<]+)</v>', sheets["market"])
    assert found is not None
    assert float(found[1]) == pytest.approx(float(price), rel=1e-15)


def test_equal_results_give_equal_workbooks():
    import time

    first = workbook(made_up_results(runs=1))
    time.sleep(2.1)  # longer than the resolution of times in a zip file
    assert workbook(made_up_results(runs=1)) == first


def test_table_longer_than_a_sheet_is_refused_with_the_way_out():
    class Long(list):
        def __len__(self):
            return SHEET_ROWS - 1

    with pytest.raises(UsageError, match=r"1,048,575 rows do not fit .* use --format csv"):
        check_fits_sheets({"offers": {"month": Long()}})

    class Fits(list):
        def __len__(self):
            return SHEET_ROWS - 2

    check_fits_sheets({"offers": {"month": Fits()}})


def test_export_command_writes_beside_the_tables_and_the_result_stays_sound(saved):
    run = CliRunner().invoke
    done = run(export, [str(saved)])
    assert done.exit_code == 0
    assert done.output.splitlines() == [str(saved / "export" / f"{name}.csv") for name in TABLES]
    assert (saved / "export" / "market.csv").read_bytes() == (saved / "market.csv").read_bytes()
    assert run(export, [str(saved), "--format", "xlsx"]).exit_code == 0
    report = verify_folder(str(saved))
    assert report.damage == ()
    assert report.files == 13 + 5 + 1
    (saved / "export" / "labs.csv").write_text("changed by hand")
    assert len(verify_folder(str(saved)).damage) == 1


def test_export_never_overwrites_without_force(pristine, tmp_path):
    run = CliRunner().invoke
    (tmp_path / "offers.csv").write_text("mine")
    refused = run(export, [str(pristine), "--out", str(tmp_path)])
    assert isinstance(refused.exception, UsageError)
    assert "--force" in str(refused.exception)
    assert os.listdir(tmp_path) == ["offers.csv"]
    assert (tmp_path / "offers.csv").read_text() == "mine"
    assert run(export, [str(pristine), "--out", str(tmp_path), "--force"]).exit_code == 0
    assert (tmp_path / "offers.csv").read_text() != "mine"
    (tmp_path / "book.xlsx").write_text("mine")
    refused = run(export, [str(pristine), "--format", "xlsx", "--out", str(tmp_path / "book.xlsx")])
    assert isinstance(refused.exception, UsageError)
    assert (tmp_path / "book.xlsx").read_text() == "mine"
    refused = run(export, [str(pristine), "--out", str(tmp_path / "book.xlsx")])
    assert "is not a folder" in str(refused.exception)


def test_csv_copies_of_save_are_those_of_export(pristine):
    results = load_results(pristine)
    for name in TABLES:
        assert (pristine / f"{name}.csv").read_bytes() == table_csv(name, results.tables[name])


def test_odd_texts_survive_saving_and_loading(tmp_path):
    results = results_with_texts(PAYLOADS)
    save(results, tmp_path / "x")
    assert load_results(tmp_path / "x").tables["labs"]["lab"].tolist() == results.tables["labs"]["lab"].tolist()
