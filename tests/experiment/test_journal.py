"""Records prove themselves: torn, damaged and whole ones are told apart, bit by bit."""

from __future__ import annotations

import json
import zlib

import pytest

from sim.errors import WriteError
from sim.experiment.journal import MARK, Appender, Log, Record, log_line, read_log, scan


def record(cell: int, payload: bytes = b"tables") -> Record:
    return Record(cell, 0, "key", "content", "code", 1, 0.5, None, payload)


WHOLE = b"".join(record(cell, bytes([cell]) * (50 + cell)).to_bytes() for cell in range(3))


def test_records_read_back():
    found = scan(WHOLE, "journal")
    assert [each.cell for each in found.records] == [0, 1, 2]
    assert found.records[2] == record(2, bytes([2]) * 52)
    assert (found.damage, found.torn) == ((), 0)


def test_every_single_bit_of_a_journal_counts():
    for bit in range(len(WHOLE) * 8):
        damaged = bytearray(WHOLE)
        damaged[bit // 8] ^= 1 << (bit % 8)
        found = scan(bytes(damaged), "journal")
        assert found.damage or found.torn, bit
        assert len(found.records) == 2  # the others are kept
        assert all(each == record(each.cell, bytes([each.cell]) * (50 + each.cell)) for each in found.records)


def test_a_journal_cut_anywhere_loses_the_last_record_only():
    sizes = [len(record(cell, bytes([cell]) * (50 + cell)).to_bytes()) for cell in range(3)]
    for length in range(len(WHOLE)):
        found = scan(WHOLE[:length], "journal")
        whole = sum(length >= sum(sizes[: k + 1]) for k in range(3))
        assert len(found.records) == whole
        assert found.damage == ()
        assert found.torn == length - sum(sizes[:whole])


def test_a_mark_inside_the_payload_does_not_confuse():
    inside = record(7, MARK + record(8).to_bytes() + MARK)
    found = scan(inside.to_bytes() + record(9).to_bytes(), "journal")
    assert [each.cell for each in found.records] == [7, 9]


def test_what_is_no_journal_is_damage():
    assert scan(b"something else", "journal").damage == ("journal: damaged: bytes 0 to 14",)
    assert scan(b"", "journal").records == ()


def test_an_appender_on_a_full_device_names_path_and_bytes(tmp_path):
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    with pytest.raises(WriteError, match="cannot write"):
        Appender(path)  # links are not followed
    appender = Appender(tmp_path / "journal")
    appender.append(b"x")
    appender.close()
    appender.close()
    assert (tmp_path / "journal").read_bytes() == b"x"


def log_of(folder, count: int = 3):
    path = folder / "log.jsonl"
    log = Log(path)
    for number in range(count):
        log.add("failed", cell=number, run=0, reason="é\n{}")
    log.close()
    return path


def test_a_log_reads_back_and_goes_on_counting(tmp_path):
    path = log_of(tmp_path)
    events, damage, torn = read_log(path)
    assert ([each["cell"] for each in events], damage, torn) == ([0, 1, 2], [], False)
    log = Log(path, events)
    log.add("session")
    log.close()
    assert [each["n"] for each in read_log(path)[0]] == [1, 2, 3, 4]
    assert read_log(tmp_path / "none") == ([], [], False)


def test_every_single_bit_of_a_log_counts(tmp_path):
    path = log_of(tmp_path)
    whole = path.read_bytes()
    for bit in range(len(whole) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        events, damage, torn = read_log(path)
        assert damage or torn, bit
        assert len(events) >= 1


def test_a_line_that_is_gone_or_moved_is_noticed(tmp_path):
    path = log_of(tmp_path)
    lines = path.read_text().split("\n\n")
    path.write_text("\n\n".join([lines[0], lines[2]]))
    assert "missing or moved" in read_log(path)[1][0]
    path.write_text("\n" + "\n\n".join([lines[1].strip("\n"), lines[0].strip("\n"), lines[2]]))
    assert "missing or moved" in read_log(path)[1][0]


def test_a_torn_line_harms_only_itself(tmp_path):
    path = log_of(tmp_path)
    torn = log_line({"n": 4, "event": "session"})[:-9]
    path.write_bytes(path.read_bytes() + torn)
    events, damage, cut = read_log(path)
    assert (len(events), damage, cut) == (3, [], True)
    path.write_bytes(path.read_bytes() + log_line({"n": 4, "event": "session"}))
    events, damage, cut = read_log(path)
    assert ([each["n"] for each in events], len(damage), cut) == ([1, 2, 3, 4], 1, False)


def test_a_log_line_is_plain_json_behind_its_checksum():
    line = log_line({"n": 1, "event": "x"}).strip()
    checksum, _, text = line.partition(b" ")
    assert json.loads(text) == {"n": 1, "event": "x"}
    assert int(checksum, 16) == zlib.crc32(text)
