"""Reading YAML: what is a number, what stays text, and bytes nobody vouches for."""

from __future__ import annotations

import random
import time

import pytest

from sim.errors import ScenarioError
from sim.scenario.nodes import Scalar, number_fault, number_hint, plain
from sim.scenario.problems import Problems, Where
from sim.scenario.yaml_io import decode, parse


def read(text: str):
    problems = Problems()
    node = parse(text, "file.yaml", problems)
    problems.check()
    return plain(node)


NUMBERS = {
    "0": 0, "-0": 0, "+7": 7, "42": 42, "1e26": 1e26, "1E26": 1e26, "1.0e5": 1e5, "1e+5": 1e5, "1e-3": 1e-3,
    ".5": 0.5, "-.5": -0.5, "1.": 1.0, "3.14": 3.14, "0.1": 0.1, "1.5e9": 1.5e9, "400e9": 4e11, "6.02e23": 6.02e23,
    "9007199254740993": 9007199254740993, "9223372036854775807": 2**63 - 1, "0e5": 0.0, "1e308": 1e308,
    "2.2250738585072014e-308": 2.2250738585072014e-308, "0.1e1": 1.0, "1e05": 1e5,
}  # fmt: skip


@pytest.mark.parametrize(("text", "number"), NUMBERS.items())
def test_a_decimal_spelling_is_the_number_it_looks_like(text: str, number: float):
    value = read(f"a: {text}")["a"]
    assert value == number
    assert type(value) is type(number)


@pytest.mark.parametrize(
    "text",
    ["010", "00", "01.5", "0x1F", "0o17", "0b11", "1_000", "1,000", "1,5", "22:30", "190:20:30", "2025-12",
     "2025-12-01", "2001-12-14t21:59:43.10-05:00", ".inf", "-.INF", ".NaN", "nan", "inf", "1e", "e5", "1.2.3", ".", "+",
     "1 000", "5 %", "½", "٣", "1e5.5", "--1", "9" * 61],
)  # fmt: skip
def test_any_other_spelling_is_text(text: str):
    assert read(f"a: {text}")["a"] == text


@pytest.mark.parametrize(
    "word",
    ["y", "Y", "yes", "Yes", "YES", "n", "N", "no", "No", "NO", "True", "TRUE", "False", "FALSE", "on", "On", "ON",
     "off", "Off", "OFF", "t", "f"],
)  # fmt: skip
def test_the_booleans_of_yaml_11_are_text(word: str):
    assert read(f"a: {word}")["a"] == word


def test_only_two_words_are_booleans_and_three_spellings_are_null():
    assert read("a: true\nb: false\nc: null\nd: ~\ne:\nf: Null\ng: 'true'") == {
        "a": True, "b": False, "c": None, "d": None, "e": None, "f": "Null", "g": "true",
    }  # fmt: skip


@pytest.mark.parametrize(("text", "says"), [("1e400", "too large"), ("-1e999", "too large"), ("1e-400", "too small"),
                                            ("0.0000001e-330", "too small")])  # fmt: skip
def test_a_number_beyond_64_bits_is_faulty(text: str, says: str):
    assert says in number_fault(text, float(text))


@pytest.mark.parametrize("text", ["0", "-0.0", "0e99", "1e308", "5e-324"])
def test_a_number_within_64_bits_is_not(text: str):
    assert number_fault(text, float(text)) == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [("010", "write 10"), ("007", "write 7"), ("00", "write 0"), ("-012.5", "write 12.5"), ("0xff", "decimal digits"),
     ("1_0", "write 10"), ("12,5", "decimal point"), ("1'000", "separators"), ("Infinity", "finite"),
     ("-.inf", "finite"), ("NaN", "finite"), ("１", "digits 0 to 9")],
)  # fmt: skip
def test_a_hint_says_how_to_write_the_number(text: str, says: str):
    assert says in number_hint(Scalar(Where("f", 1), text, plain=True))


@pytest.mark.parametrize("text", ["lots", "22:30", "NO", "5 USD/Mtok", ""])
def test_no_hint_is_given_where_none_is_known(text: str):
    assert number_hint(Scalar(Where("f", 1), text, plain=True)) == ""


LINES = "name: x\ntitle: \"a b\"\nsources:\n  - one\n  - 'two'\nparameters: {demand.value: 5}\n"


@pytest.mark.parametrize(
    "data",
    [LINES.encode(), b"\xef\xbb\xbf" + LINES.encode(), LINES.replace("\n", "\r\n").encode(),
     LINES.replace("\n", "\r").encode(), ("---\n" + LINES + "...\n").encode(), ("%YAML 1.2\n---\n" + LINES).encode()],
    ids=["plain", "bom", "crlf", "cr", "markers", "directive"],
)  # fmt: skip
def test_byte_order_marks_and_line_ends_make_no_difference(data: bytes):
    assert read(decode(data, "f")) == read(LINES)


def test_text_is_normalised_so_that_two_spellings_of_a_letter_are_one():
    assert read("a: e\u0301")["a"] == "\u00e9"


def test_every_node_knows_its_line():
    node = parse("a: 1\nb:\n  - x\n  - {c: y}\n", "f", Problems())
    listed = node.get("b")
    assert [item.where.line for item in listed.items] == [3, 4]
    assert listed.items[1].get("c").where == Where("f", 4)


def test_the_depth_limit_binds_at_32():
    def nest(levels: int) -> str:
        return "a: " + "[" * (levels - 1) + "]" * (levels - 1)

    read(nest(32))
    with pytest.raises(ScenarioError, match="32 levels"):
        read(nest(33))


def test_the_limit_of_values_binds_at_10000():
    read("a: [" + "1," * 9997 + "]")  # the map, its key, the list and 9,997 numbers
    with pytest.raises(ScenarioError, match="10000 values"):
        read("a: [" + "1," * 9998 + "]")


def test_the_limit_of_one_text_binds_at_16000():
    read("a: " + "x" * 16000)
    with pytest.raises(ScenarioError, match="16000"):
        read("a: " + "x " * 8000 + "y")


SOUP = [
    "a", "b:", "c: ", "- ", "? ", ": ", "[", "]", "{", "}", ",", "&a ", "*a ", "!!str ", "!x ", "|", ">", "|-2\n", "'",
    '"', "\\", "\\x1b", "\\ud800", "\\U0010FFFF", "#", "%YAML 1.1", "---\n", "...\n", "\n", "\n  ", "\n    ", "\t", " ",
    "<<: ", "1e400", "010", "true", "~", "\0", "\x1b", "\u202e", "\ufeff", "\U0001f600", "é", "\x85", "\u2028", "@",
    "`", "name: x", "parameters:", "\r", "\r\n", "=", "!", "!<", "%TAG ! x", "'' ", '""', "0x", ".inf", "--- |", "-\n",
]  # fmt: skip


def problems_of(data: str | bytes) -> list[str]:
    try:
        read(data if isinstance(data, str) else decode(data, "file.yaml"))
    except ScenarioError as error:
        problems = error.problems
    else:
        return []
    assert problems
    assert all(line.startswith("file.yaml:") and line.isprintable() for line in problems), (data, problems)
    return problems


def test_20000_random_mixtures_of_tokens_are_read_or_refused_in_one_line_each():
    dice = random.Random(20251231)  # noqa: S311
    refused = 0
    slowest = 0.0
    for _ in range(20_000):
        text = "".join(dice.choices(SOUP, k=dice.randint(1, 14)))
        started = time.process_time()
        refused += bool(problems_of(text))
        slowest = max(slowest, time.process_time() - started)
    assert 5_000 < refused < 20_000
    assert slowest < 1


def test_5000_random_strings_of_bytes_are_read_or_refused_in_one_line_each():
    dice = random.Random(20251230)  # noqa: S311
    refused = 0
    for _ in range(5_000):
        refused += bool(problems_of(dice.randbytes(dice.randint(1, 40))))
    assert refused > 3_000
