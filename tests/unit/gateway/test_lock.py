"""One writer: the lock goes with its holder, and says who that is."""

import json
import subprocess
import sys

import pytest

from dunes.gateway.lock import MeshBusy, MeshLock, holder_of

NOW_US = 1_800_000_000_000_000
HOLD = """
import sys
from pathlib import Path
from dunes.gateway.lock import MeshLock
MeshLock(Path(sys.argv[1])).take("m-1", "dunes mesh-listen", 1_800_000_000_000_000)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "mesh-m-1.lock"


def test_it_is_given_back(path):
    assert holder_of(path) is None
    lock = MeshLock(path)
    for _ in range(2):
        lock.take("m-1", "dunes", NOW_US)
        assert holder_of(path).startswith("dunes (process ")
        lock.release()
        lock.release()
        assert holder_of(path) is None


def test_another_process_has_it_until_it_is_killed(path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert b"held\n" == process.stdout.readline()
        said = f"dunes mesh-listen (process {process.pid}, since 2027-01-15T08:00:00Z)"
        with pytest.raises(MeshBusy) as caught:
            MeshLock(path).take("m-1", "dunes", NOW_US)
        assert f"mesh m-1 is in use by {said}" == caught.value.message
        assert f"end it (kill {process.pid}), then repeat" == caught.value.hint
        assert said == holder_of(path)
        process.kill()
    lock = MeshLock(path)
    lock.take("m-1", "dunes", NOW_US)
    lock.release()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff", b"7" * 5000])
def test_a_holder_that_says_nonsense_is_another_program(path, text):
    lock = MeshLock(path)
    lock.take("m-1", "dunes", NOW_US)
    path.write_bytes(text)
    with pytest.raises(MeshBusy, match="in use by another program"):
        MeshLock(path).take("m-1", "dunes", NOW_US)
    lock.release()


def test_what_a_holder_says_is_made_printable(path):
    lock = MeshLock(path)
    lock.take("m-1", "dunes", NOW_US)
    path.write_text(json.dumps({"pid": 1, "holder": "\x1b[31m" + "x" * 99, "since": "\n"}))
    assert holder_of(path).isprintable()
    lock.release()
