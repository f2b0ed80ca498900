"""A gateway that sends as fast as it can, in a process of its own, until it is killed."""

import os
from random import Random

from dunes.clock import Clock
from dunes.crypto.identity import Identity
from dunes.crypto.signing import SigningKey
from dunes.crypto.xwing import RecipientKey
from dunes.gateway.store import MeshStore
from dunes.mesh.manager import Manager
from dunes.mesh.managerstate import KnownNode
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.state import Store
from dunes.settings import load

MESH_ID = "lunar-ble-001"
BLOCK = 12
"""So small that most of the time is spent around reservations."""
ROUND_US = 100 * 3_600_000_000
"""Between two rounds so much time has passed that an IV update may begin or end."""
START_US = 1_800_000_000_000_000


def identity() -> Identity:
    signing = SigningKey.from_seed(b"\x05" * 32)
    return Identity("gw", signing, RecipientKey.from_xwing_seed(signing.kid, b"\x05" * 32))


def at(round_: int) -> Clock:
    return Clock(lambda: 0.0, lambda: START_US + round_ * ROUND_US)


def gateway(home: str, round_: int, air: int) -> None:
    """Send PDUs into a pipe: what was written there is on the air."""
    dice = Random(round_)
    settings = load({"DUNES_HOME": home})
    store = MeshStore.open(settings, MESH_ID, identity=identity(), clock=at(round_))
    manager = Manager.start(store.load(), dice, now_s=0.0, block=BLOCK)
    stack = manager.stack
    stack.outbox.offline = False
    moves_at, n = dice.randrange(1, 70), 0
    while True:
        while (event := manager.next_event()) is not None:
            if isinstance(event, Store):
                store.apply(event)
                manager.stored(event.ticket, 0.0)
        n += 1
        if n == moves_at:
            moved = stack.end_iv_update if stack.iv.updating else stack.begin_iv_update
            moved(0.0)
        if dice.random() < 0.1:
            stack.journal.add(("replay", 9), ReplayEntry(9, stack.iv.index, n))
        if dice.random() < 0.05:
            unicast = 2 + len(manager.nodes)
            node = KnownNode(dice.randbytes(16), unicast, 1, dice.randbytes(16))
            manager.book.update(node, before_sending=True)
        manager.send(0xC000, _Small(), app_index=0)
        for sealed in stack.pdus_to_send(0.0):
            line = f"{stack.iv.index} {sealed.data.hex()}\n"
            os.write(air, line.encode())


class _Small:
    def encode(self) -> bytes:
        return b"\x82\x03\x01\x00"
