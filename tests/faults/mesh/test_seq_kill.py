"""kill -9 at random moments: no sequence number is ever on the air twice."""

import multiprocessing
import os
import select
import shutil
import sys
import time
from pathlib import Path
from random import Random

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from gatewayproc import MESH_ID, at, gateway, identity

from dunes.gateway.exporting import Wish, export_mesh
from dunes.gateway.importing import carry_out, plan_import, read_export
from dunes.gateway.store import MeshStore
from dunes.mesh.keyring import KeyRing
from dunes.mesh.managerstate import ManagerState
from dunes.mesh.network import decode_network
from dunes.settings import load

ROUNDS = int(os.environ.get("DUNES_KILLS", "50"))


class Observer:
    """Listens on the air with the network's key, over all rounds."""

    def __init__(self, state: ManagerState) -> None:
        self.keys = KeyRing.restore(state.stack.keys.nets, state.stack.keys.apps)
        self.seen: set[tuple[int, int, int]] = set()
        self.last: dict[int, tuple[int, int]] = {}
        self.twice: list[tuple[int, int, int]] = []

    def hear(self, data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                continue  # it was killed in mid-word
            iv_index, pdu = line.split()
            found = decode_network(self.keys, int(iv_index), bytes.fromhex(pdu.decode()))
            number = (found.iv_index, found.seq)
            if (found.src, *number) in self.seen or number < self.last.get(found.src, (0, 0)):
                self.twice.append((found.src, *number))
            self.seen.add((found.src, *number))
            self.last[found.src] = number


@pytest.fixture
def mesh(tmp_path):
    settings = load({"DUNES_HOME": str(tmp_path)}, folder=tmp_path)
    state = ManagerState.new(Random(1))
    MeshStore.create(settings, MESH_ID, state, identity=identity(), clock=at(0)).close()
    return settings, Observer(state)


def run_and_kill(home: Path, round_: int, dice: Random, observer: Observer) -> int:
    """Let a gateway send for a while, kill it, and hear all that it sent."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["dunes.gateway.store", "dunes.mesh.manager", "alembic.command"]
    )
    air, mouth = context.Pipe(duplex=False)
    process = context.Process(target=start, args=(str(home), round_, mouth))
    process.start()
    mouth.close()
    heard, wanted, until_s = b"", dice.randrange(1, 150), None
    while True:
        ready, _, _ = select.select([air], [], [], 0.001 if until_s else 10.0)
        if ready:
            data = os.read(air.fileno(), 1 << 16)
            if not data:
                break
            heard += data
            if until_s is None and heard.count(b"\n") >= wanted:
                until_s = time.monotonic() + dice.uniform(0, 0.01)
        assert heard or ready, "nothing came in 10 s"
        if until_s is not None and time.monotonic() > until_s:
            process.kill()
    process.join()
    air.close()
    assert -9 == process.exitcode
    observer.hear(heard)
    return heard.count(b"\n")


def start(home, round_, mouth):
    gateway(home, round_, mouth.fileno())


def test_no_number_is_sent_twice_through_kill_9(mesh):
    settings, observer = mesh
    dice = Random(11)
    home = settings.paths.data.parent
    sent = [run_and_kill(home, n + 1, dice, observer) for n in range(ROUNDS)]
    assert [] == observer.twice
    assert sum(sent) == len(observer.seen)
    assert sum(sent) > 20 * ROUNDS
    assert len({iv_index for _, iv_index, _ in observer.seen}) > ROUNDS // 10


def test_nor_when_the_database_is_copied_back_in_between(mesh, tmp_path):
    settings, observer = mesh
    dice = Random(12)
    home, database = settings.paths.data.parent, settings.paths.data / "buffer.db"
    notes = []
    for n in range(8):
        copy = tmp_path / "copy"
        if n % 2 == 0:
            copy.mkdir()
            for path in settings.paths.data.iterdir():
                shutil.copy(path, copy / path.name)
        run_and_kill(home, n + 1, dice, observer)
        if n % 2 == 1:
            for path in settings.paths.data.iterdir():
                path.unlink()
            for path in copy.iterdir():
                shutil.copy(path, settings.paths.data / path.name)
            shutil.rmtree(copy)
            assert database.exists()
            with MeshStore.open(settings, identity=identity(), clock=at(n + 1)) as store:
                notes += store.notes[:1]
    assert [] == observer.twice
    assert 4 == len([note for note in notes if "set back to an older copy" in note])


def test_nor_when_a_state_of_long_ago_replaces_the_gateway(mesh, tmp_path):
    """The IV index moved on since, and under the new ones numbers were used from 0 on."""
    settings, observer = mesh
    home, dice, file = settings.paths.data.parent, Random(14), tmp_path / "state.json"
    for n in range(4):
        run_and_kill(home, n + 1, dice, observer)
    with MeshStore.open(settings, identity=identity(), clock=at(5)) as store:
        export_mesh(store, "gw-1", Wish("state", file))
        before = store.load().stack.iv.index
    for n in range(5, 12):
        run_and_kill(home, n + 1, dice, observer)
    with MeshStore.open(settings, identity=identity(), clock=at(13)) as store:
        assert store.load().stack.iv.index > before + 1
    there = load({"DUNES_HOME": str(tmp_path / "there")}, folder=tmp_path)
    plan = plan_import(read_export(file), there, file, clock=at(13))
    carry_out(plan, there, identity(), holder="dunes")
    for n in range(6, 13):  # its IV index goes the same way once more
        run_and_kill(tmp_path / "there", n + 1, dice, observer)
    assert [] == observer.twice
    assert 2 == len(observer.last)


def test_the_observer_would_notice(mesh):
    """A gateway that keeps nothing sends the same numbers again."""
    settings, observer = mesh
    home, dice = settings.paths.data.parent, Random(13)
    data, state = settings.paths.data, settings.paths.state
    for path in (data, state):
        shutil.copytree(path, path.with_suffix(".copy"))
    run_and_kill(home, 1, dice, observer)
    for path in (data, state):
        shutil.rmtree(path)
        shutil.copytree(path.with_suffix(".copy"), path)
    run_and_kill(home, 1, dice, observer)
    assert observer.twice
