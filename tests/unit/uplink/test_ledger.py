"""The database and the dictionary: one receiver, two ledgers, the same answers."""

from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunes.buffer.store import Buffer
from dunes.uplink.errors import BadRecord, Conflict, OtherKey
from dunes.uplink.ground import GroundStation

FRAMES = 30
TABLE = "lunar_telemetry"


class Enrolment:
    """As much of an enrolled gateway as the store looks at."""

    gateway = "gw-one"

    def __init__(self, key):
        self.key = key


def outcome(call, batch):
    try:
        return call(batch)
    except (BadRecord, Conflict, OtherKey) as e:
        return type(e).__name__, e.message


def choose(dice, writer, twin):
    """Choose frames, tombstones, a second history, or a batch that is cut."""
    first = dice.randint(1, FRAMES)
    last = min(FRAMES, first + dice.randint(0, 6))
    kind = dice.random()
    if kind < 0.6:
        return writer.batch(2, first, last)
    if kind < 0.8:
        return writer.batch_of(writer.sign_tomb(writer.tomb(2, first, last)))
    if kind < 0.9:
        return twin.batch(2, first, last)
    return writer.batch(2, first, last)[:-50]


def told(receipt):
    return receipt.receipt_no, {n: replace(s, known_from=0) for n, s in receipt.lanes.items()}


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), restart=st.booleans())
def test_both_ledgers_take_the_same_batches_the_same_way(
    tmp_path_factory, make_writer, make_station, fake_key, seed, restart
):
    dice = Random(seed)
    writer, twin, memory = make_writer(), make_writer(), make_station()
    for _ in range(FRAMES):
        writer.append(2, n=dice.randint(1, 3))
    twin.frames[2] = writer.frames[2][:20]
    for _ in range(10):
        twin.append(2, device="twin")
    ground, enrolled = fake_key(b"ground"), Enrolment(fake_key(b"gateway"))
    folder = tmp_path_factory.mktemp("ledger")
    opened = []

    def station():
        if opened and restart and dice.random() < 0.2:
            opened.pop().close()
        if not opened:
            buffer = Buffer.open(f"sqlite:///{folder}/g.db")
            opened.append(GroundStation(folder, buffer, ground, None))
        return opened[0]

    def by_database(batch):
        return station().take(enrolled, TABLE, writer.epoch, batch)[1]

    for _ in range(14):
        batch = choose(dice, writer, twin)
        assert outcome(memory.take, batch) == outcome(by_database, batch)
        there = station().receipt(Enrolment.gateway, TABLE, writer.epoch)
        assert told(memory.receipt(ground)) == told(there)
    opened[0].close()
