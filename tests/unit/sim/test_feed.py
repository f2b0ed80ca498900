"""Growing files: rotation, crashes, and the account of what was made."""

import json

import pytest

from dunes.clock import US_PER_S
from dunes.model import Priority, Reading
from dunes.paths import write_atomic
from dunes.sim.feed import Feed, Made, account, encode_line, load_account

START_US = 1_764_000_000 * US_PER_S


def reading(seq, device="hab-sensor-001", priority=Priority.ROUTINE):
    return Reading(
        device, "co2", 2400 + seq, "ppm", START_US + seq * 100_000, priority, seq, simulated=True
    )


def test_a_line_is_what_a_sensor_says():
    line = encode_line(reading(3, priority=Priority.ALERT))

    assert {
        "device": "hab-sensor-001",
        "kind": "co2",
        "value": 2403,
        "unit": "ppm",
        "time": "2025-11-24T16:00:00.300Z",
        "seq": 3,
        "priority": "alert",
        "simulated": True,
    } == json.loads(line)
    assert line.endswith(b"}\n")


def test_a_file_is_rotated_between_lines_and_the_oldest_is_deleted(tmp_path):
    feed = Feed(tmp_path / "x.jsonl", rotate_bytes=100, keep=2)
    for number in range(10):
        feed.append(b"%038d\n" % number * 2)
    feed.close()

    assert ["x.jsonl", "x.jsonl.1", "x.jsonl.2"] == sorted(p.name for p in tmp_path.iterdir())
    assert b"%038d\n" % 9 * 2 == (tmp_path / "x.jsonl").read_bytes()
    assert b"%038d\n" % 7 * 2 == (tmp_path / "x.jsonl.2").read_bytes()


@pytest.mark.parametrize("torn", [b'{"device":"hab', b"x" * 3_000_000])
def test_a_line_that_a_crash_cut_off_is_removed(tmp_path, torn):
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"whole\n" + torn)

    feed = Feed(path)
    feed.append(b"next\n")
    feed.close()

    assert b"whole\nnext\n" == path.read_bytes()


def test_what_was_written_after_the_account_was_saved_is_counted_again(tmp_path):
    feeds = {"t": Feed(tmp_path / "x.jsonl", rotate_bytes=400)}
    made = {"t": Made()}
    for seq in range(1, 12):
        readings = [reading(seq), reading(seq, "hab-sensor-002", Priority.ALERT)]
        feeds["t"].append(b"".join(map(encode_line, readings)))
        made["t"].count(readings)
        if seq == 9:
            write_atomic(tmp_path / "made.json", account(feeds, made))
    feeds["t"].close()

    again = {"t": Feed(tmp_path / "x.jsonl", rotate_bytes=400)}
    assert made == load_account(tmp_path / "made.json", again)
    assert 22 == made["t"].readings
    assert 11 == made["t"].alerts
    again["t"].close()


def test_a_first_start_has_made_nothing(tmp_path):
    feed = Feed(tmp_path / "x.jsonl")

    assert {"t": Made()} == load_account(tmp_path / "made.json", {"t": feed})
    feed.close()
