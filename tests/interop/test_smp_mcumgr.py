"""Our virtual boards, updated by somebody else's client; our images, read by its parser.

mcumgr-toolkit is written in Rust and shares nothing with smpclient. It runs in an
interpreter of its own: `DUNES_SMP_PEER_PYTHON`, or `.venv-peer` or `.venv-smp-peer` beside
this project, made by `python -m venv .venv-smp-peer && .venv-smp-peer/bin/pip install
mcumgr-toolkit`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PEER = Path(__file__).with_name("peers") / "mcumgr.py"
BOARD_PROGRAM = ROOT / "tests/cli/flash/smp_node.py"
sys.path.insert(0, str(ROOT / "tests/unit/firmware"))
from firmware_making import make_key, sign_image  # noqa: E402 - after the path


@pytest.fixture(scope="module")
def peer():
    """Find an interpreter that has mcumgr-toolkit."""
    for python in (
        os.environ.get("DUNES_SMP_PEER_PYTHON"),
        ROOT / ".venv-smp-peer/bin/python",
        ROOT / ".venv-peer/bin/python",
    ):
        if python and Path(python).exists():
            has = subprocess.run(
                [str(python), "-c", "import mcumgr_toolkit"], capture_output=True, check=False
            )
            if has.returncode == 0:
                return str(python)
    pytest.skip("needs mcumgr-toolkit: DUNES_SMP_PEER_PYTHON or .venv-smp-peer")


@pytest.fixture
def node(tmp_path):
    """Start a board that runs 1.1.0; gives where it listens."""
    (tmp_path / "old.bin").write_bytes(
        sign_image(tmp_path, version="1.1.0", kind="ed25519", board="nrf52840dk")
    )
    (tmp_path / "new.bin").write_bytes(
        sign_image(tmp_path, version="1.2.0", kind="ed25519", board="nrf52840dk")
    )
    process = subprocess.Popen(
        [sys.executable, str(BOARD_PROGRAM), "--board", "nrf52840dk", "--key",
         str(make_key(tmp_path, "ed25519")), "--factory", str(tmp_path / "old.bin")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield json.loads(process.stdout.readline()) | {"image": str(tmp_path / "new.bin")}
    process.stdin.close()
    process.wait(timeout=10)
    process.stdout.close()


@pytest.mark.parametrize(
    ("way", "confirm", "runs"), [("udp", True, "1.2.0"), ("serial", False, "1.1.0")]
)
def test_a_foreign_client_updates_our_virtual_board(peer, node, way, confirm, runs):
    given = json.dumps(node | {"way": way, "confirm": confirm})
    done = subprocess.run(
        [peer, str(PEER)], input=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert 0 == done.returncode, done.stderr
    seen = json.loads(done.stdout)
    assert ("hello", "node nrf52840dk", "MCUboot") == (
        seen["echo"], seen["info"], seen["bootloader"],
    )  # fmt: skip
    assert "1.2.0" in seen["parsed"]
    assert [[0, "1.1.0", True, True]] == seen["before"]
    assert [0, "1.2.0", True, False] == seen["trial"][0]
    assert [0, runs, True, True] == seen["after"][0]
