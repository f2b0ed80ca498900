"""Boards that are other processes, and a home whose catalogue has firmware for them."""

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parents[1] / "unit/firmware"))
from firmware_making import make_key, sign_image  # noqa: E402 - after the path
from flash_typed import BOARD, BUILT_FOR  # noqa: E402 - as above

SCRIPTS = sysconfig.get_path("scripts")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What west would have built: the same body in versions 1.1.0, 1.2.0 and 1.0.0."""
    folder = tmp_path_factory.mktemp("built")
    made = {}
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        made[version] = folder / f"{version}.bin"
        body = bytes(range(256)) * 80
        made[version].write_bytes(
            sign_image(folder, version=version, kind="ed25519", board=BUILT_FOR, body=body)
        )
    made["key"] = make_key(folder, "ed25519")
    return made


@pytest.fixture
def board(built):
    """Start boards that run version 1.1.0; gives where each listens, and what it says."""
    running = []

    def start(*more, factory="1.1.0", name=BOARD):
        program = HERE / "smp_node.py"
        process = subprocess.Popen(
            [sys.executable, str(program), "--board", name, "--key", str(built["key"]),
             "--factory", str(built[factory]), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        return json.loads(process.stdout.readline()) | {"said": process.stdout}

    yield start
    for process in running:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


@pytest.fixture(scope="module")
def stock(tmp_path_factory, built):
    """A DUNES_HOME with a key of its own and all three versions in its catalogue."""
    home = tmp_path_factory.mktemp("stock")
    environment = {"PATH": f"{SCRIPTS}:/usr/bin:/bin", "DUNES_HOME": str(home / "dunes")}
    for argv in [
        ("keygen", "--machine-bound"),
        ("firmware", "add", str(built["1.0.0"])),
        ("firmware", "add", str(built["1.1.0"])),
        ("firmware", "add", str(built["1.2.0"]), "--address", "0xc000"),
    ]:
        subprocess.run(
            ["dunes", *argv], env=environment, cwd=home, check=True, capture_output=True
        )
    return home / "dunes"


@pytest.fixture
def stocked(typed, stock, home):
    """Type in a home of that kind."""
    shutil.copytree(stock, home / "dunes")
    return typed
