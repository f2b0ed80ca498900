"""A gateway with its real store and buffer, its radio's far end real node state machines."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from meshsite import FakeRadio, Site, until
from sqlalchemy import text

from dunes.buffer.appender import Appender
from dunes.buffer.store import open_buffer
from dunes.errors import DunesError, NotFound, StorageError, StorageFull, UsageError
from dunes.gateway import owner
from dunes.gateway.changing import configure, refresh_keys, remove
from dunes.gateway.feed import merged
from dunes.gateway.listening import _Listener
from dunes.gateway.profile import load_profile
from dunes.gateway.sending import send
from dunes.gateway.service import NoOwner, Service, ask_owner, socket_path
from dunes.gateway.setup import Request, set_up
from dunes.gateway.standing import live, standing
from dunes.gateway.store import MeshStore
from dunes.gateway.verbs import verbs_of
from dunes.gateway.waiting import NoAnswer
from dunes.mesh.managerstate import KnownNode, NodeGone
from dunes.mesh.models.habitat import habitat
from dunes.mesh.outbox import Message
from dunes.mesh.replay import ReplayEntry
from dunes.mesh.sequence import SeqRecord
from dunes.mesh.state import Store
from dunes.mesh.wire import ModelId
from dunes.model import Priority
from dunes.settings import load
from sakina.evidence import gather

TABLE = "lunar_telemetry"
PROFILE = load_profile()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DUNES_HOME", str(tmp_path))
    return load({"DUNES_HOME": str(tmp_path), "DUNES_MESH_ID": "lunar-ble-001"}, folder=tmp_path)


class Place:
    """A site, and a gateway's disk."""

    def __init__(self, home, monkeypatch, count):
        self.home, self.site = home, Site(count)
        self.said, self.heard = [], []

        async def radio(*_args, **_more):
            self.radio = FakeRadio(self.site)
            return self.radio

        monkeypatch.setattr(owner, "open_radio", radio)

    async def set_up(self, nodes=None, **more):
        request = Request(
            nodes or len(self.site.hosted),
            PROFILE,
            PROFILE.mode("low"),
            range_m=100.0,
            quiet_s=0.6,
            **more,
        )
        return await set_up(
            self.home, request, tell=lambda _: None, note=self.said.append, warn=self.said.append
        )

    def hear(self, reading, _table):
        self.heard.append(reading)
        return True

    @asynccontextmanager
    async def listening(self):
        async with owner.open_gateway(
            self.home, holder="test", table=TABLE, note=self.said.append, warn=self.said.append
        ) as gateway:
            listener = _Listener(gateway, TABLE, self.hear, None)
            gateway.runner.on_kept.append(listener.kept)
            gateway.runner.on_event.append(listener.heard)
            async with gateway.proxies.kept():
                await gateway.reach(timeout_s=5)
                yield gateway

    async def report_to_a_broken_disk(self, node):
        """Listen; the transaction of a report fails at its very end."""
        async with self.listening() as gateway:
            self.before = replay(gateway)
            write = MeshStore.apply_on

            def breaks(store, connection, state):
                write(store, connection, state)
                raise StorageError("the disk is gone")

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(MeshStore, "apply_on", breaks)
                node.report(1, 20.0)
                await gateway.runner.failed()

    def rows(self):
        """Readings on the disk."""
        with open_buffer(self.home, create=False) as buffer, buffer.reading() as connection:
            (found,) = connection.execute(text("select coalesce(sum(msgs), 0) from lane")).first()
            return found

    def named(self, name):
        return next(each for each in self.site.hosted if each.name == name)


@pytest.fixture
def place(home, monkeypatch):
    return lambda count: Place(home, monkeypatch, count)


def in_loop(body):
    async def limited():
        async with asyncio.timeout(30):
            await body()

    asyncio.run(limited())


def test_what_nodes_measure_is_kept_once_by_name_and_alerts_are_acknowledged(place):
    async def body():
        at = place(2)
        async with at.site:
            assert (await at.set_up()).complete
            first, second = at.site.hosted
            async with at.listening():
                first.publish_sensor(temperature=21.5, humidity=40.0)
                second.report(4, 18.5, alert=True)
                await until(lambda: len(at.heard) == 3)
                await until(lambda: not second.habitat._alerts)
            by_kind = {reading.kind: reading for reading in at.heard}
            assert ("hab-sensor-001", 21.5, "Cel", "ROUTINE") == shown(by_kind["temperature"])
            assert "hab-sensor-001" == by_kind["humidity"].device
            alert = next(r for r in at.heard if r.device == "hab-sensor-002")
            assert "ALERT" == alert.priority.name
            assert all(reading.simulated for reading in at.heard)
            assert 3 == at.rows()

    in_loop(body)


def shown(reading):
    return reading.device, reading.value, reading.unit, reading.priority.name


def test_a_node_without_the_time_is_told_it_and_its_readings_have_its_own_time_then(place):
    async def body():
        at = place(1)
        async with at.site:
            await at.set_up()
            (node,) = at.site.hosted
            async with at.listening():
                node.report(1, 20.0)
                await until(lambda: node.habitat.unix_offset_s is not None)
                node.habitat.unix_offset_s -= 100.0  # it measured this a while ago
                node.report(1, 21.0)
                await until(lambda: len(at.heard) == 2)
            late_s = (at.heard[0].ts_us - at.heard[1].ts_us) / 1e6
            assert 95 < late_s < 105

    in_loop(body)


def test_an_alert_that_is_said_again_is_kept_once(place):
    async def body():
        at = place(1)
        async with at.site:
            await at.set_up()
            (node,) = at.site.hosted
            async with at.listening() as gateway:
                gateway.runner.on_kept.clear()  # it is not acknowledged
                node.report(1, 8.5, alert=True)
                await until(lambda: gateway.readings.repeated >= 1)
                await gateway.runner.flush()
            assert 1 == at.rows()

    in_loop(body)


def test_nor_is_it_kept_twice_when_the_gateway_died_before_it_acknowledged_it(place):
    async def body():
        at = place(1)
        async with at.site:
            await at.set_up()
            (node,) = at.site.hosted
            async with at.listening() as gateway:
                gateway.runner.on_kept.clear()  # it dies first
                node.report(1, 8.5, alert=True)
                await until(lambda: gateway.readings.repeated >= 1)
                await gateway.runner.flush()
            assert (1, 1) == (at.rows(), len(node.habitat._alerts))
            async with at.listening() as gateway:
                await until(lambda: not node.habitat._alerts)
                assert 1 <= gateway.readings.repeated
                node.report(1, 8.4, alert=True)
                await until(lambda: len(at.heard) == 1)
            assert (2, [8.4]) == (at.rows(), [each.value for each in at.heard])

    in_loop(body)


def test_a_replayed_a_forged_and_an_unknown_message_are_refused_and_counted(place):
    async def body():
        at = place(1)
        async with at.site:
            await at.set_up()
            (node,) = at.site.hosted
            said = []
            async with at.listening() as gateway:
                (link,) = node.links.values()
                put = link.inbox.put_nowait
                link.inbox.put_nowait = lambda value: (said.append(value), put(value))
                node.report(1, 20.0)
                await until(lambda: len(at.heard) == 1)
                values = list(said)
                gateway.manager.stack._cache.clear()  # as after a restart
                for value in values:
                    put(value)
                forged = values[-1][:-1] + bytes([values[-1][-1] ^ 1])
                for value in [*values[:-1], forged]:
                    put(value)
                payload = bytes.fromhex("c0ffff") + b"?"
                node.node.stack.send(Message(1, payload, 0))
                at.site.kick.set()
                node.report(1, 21.0)
                await until(lambda: len(at.heard) == 2)
                now = await live(gateway, {})
            assert {"mesh-replay", "mesh-mic"} == now.dropped.keys()
            assert 1 == now.dropped["mesh-mic"]
            assert [20.0, 21.0] == [reading.value for reading in at.heard]
            assert 2 == at.rows()

    in_loop(body)


def test_readings_and_what_bars_them_from_coming_again_are_written_together_or_not_at_all(
    place,
):
    async def body():
        at = place(1)
        async with at.site:
            await at.set_up()
            (node,) = at.site.hosted
            with pytest.raises(StorageError, match="disk"):
                await at.report_to_a_broken_disk(node)
            assert 0 == at.rows()
            async with at.listening() as gateway:
                assert at.before == replay(gateway)
                node.report(1, 21.0)
                await until(lambda: len(at.heard) == 1)
            assert 1 == at.rows()

    in_loop(body)


def test_what_is_not_on_the_disk_is_neither_told_nor_acknowledged_until_it_is(place):
    async def body():
        at = place(1)
        async with at.site:
            await at.set_up()
            (node,) = at.site.hosted
            full = [True]
            store = Appender._store

            def on_a_full_disk(appender, *given, **more):
                if full:
                    raise StorageFull("no room")
                return store(appender, *given, **more)

            async with at.listening() as gateway:
                at.said.clear()
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(Appender, "_store", on_a_full_disk)
                    node.report(1, 20.0)
                    node.report(1, 8.5, alert=True)
                    await until(lambda: gateway.readings.repeated)
                    await gateway.runner.flush()
                    assert ([], 0, 1) == (at.heard, at.rows(), len(node.habitat._alerts))
                    assert 1 == at.said.count("no room")
                    full.clear()
                    await until(lambda: not node.habitat._alerts)
            assert [8.5] == [each.value for each in at.heard if each.priority == Priority.ALERT]
            assert at.rows() == len(at.heard)

    in_loop(body)


def latest(node):
    _, values = habitat().read(habitat().opcode("Report"), node.habitat.latest[1][3:])
    return {name: value for name, value in values.items() if name != "kind"}


def replay(gateway):
    return {entry.src: entry.seq for entry in gateway.store.load().stack.replay}


def test_the_last_of_each_record_is_what_a_group_commit_writes():
    node = KnownNode(b"u" * 16, 2, 1, b"k" * 16)
    stores = [
        Store(1, (SeqRecord(0, 50), ReplayEntry(2, 0, 7), node), False),
        Store(2, (ReplayEntry(2, 0, 9), ReplayEntry(3, 0, 1)), False),
        Store(3, (SeqRecord(0, 100), NodeGone(2, 1, 0)), True),
    ]
    one = merged(stores)
    assert (3, True) == (one.ticket, one.before_sending)
    assert (
        ReplayEntry(2, 0, 9),
        ReplayEntry(3, 0, 1),
        SeqRecord(0, 100),
        NodeGone(2, 1, 0),
    ) == one.changes


def test_actuators_obey_settings_change_keys_are_renewed_and_nodes_leave(place):
    async def body():
        at = place(3)
        async with at.site:
            await at.set_up()
            async with at.listening() as gateway:
                one = at.named("hab-sensor-002")
                done = await send(gateway, {"device": "hab-sensor-002", "onoff": "on"})
                assert (True, {"onoff": "on"}) == (done.acknowledged, done.state)
                assert 1 == one.onoff.state(at.site.now_s)
                done = await send(gateway, {"device": "hab-sensor-002", "level": -7})
                assert {"level": -7} == done.state
                done = await send(gateway, {"device": "hab-sensor-002", "get": True})
                assert {"onoff": "on", "level": -7} == done.state
                ask = habitat().make("ReportGet", kind=1).hex()
                one.report(1, 12.5)
                sent = await send(gateway, {"device": "hab-sensor-002", "vendor": ask})
                assert (False, {}) == (sent.acknowledged, sent.state)
                told = await send(
                    gateway, {"device": "hab-sensor-002", "vendor": ask, "get": True}
                )
                assert (
                    habitat().make("Report", kind=1, **latest(one)).hex() == told.state["vendor"]
                )
                with pytest.raises(UsageError, match="no message"):
                    await send(gateway, {"device": "hab-sensor-002", "vendor": "zz"})
                with pytest.raises(NotFound, match="hab-sensor-9"):
                    await send(gateway, {"device": "hab-sensor-9", "get": True})

                asked = {"node": "all", "ttl": 12, "period_s": 30.0}
                changed = await configure(gateway, asked)
                assert [(12, 30.0)] * 3 == [(n.ttl, n.publish_period_s) for n in changed.nodes]
                (view,) = [v for v in gateway.store.views() if v.name == "hab-sensor-002"]
                assert 12 == view.settings["defaultTTL"]

                old = gateway.manager.stack.keys.subnets[0].current.key
                assert 3 == (await refresh_keys(gateway, {})).refreshed
                keys = {each.node.stack.keys.subnets[0].current.key for each in at.site.hosted}
                assert {gateway.manager.stack.keys.subnets[0].current.key} == keys
                assert old not in keys

                gone = await remove(gateway, {"node": "hab-sensor-002"})
                assert "confirmed" == gone.reset
                await until(lambda: not one.node.provisioned)
                assert 2 == len(gateway.store.views())
                await gateway.reach(timeout_s=5)
                at.named("hab-sensor-003").report(1, 20.0)
                await until(lambda: at.heard)
            assert (await at.set_up()).complete

    in_loop(body)


def test_a_lost_node_is_locked_out_and_a_silent_one_holds_a_refresh_up_until_it_is_skipped(
    place, monkeypatch
):
    monkeypatch.setattr("dunes.mesh.requests.TIMEOUT_S", 0.15)
    monkeypatch.setattr("dunes.mesh.requests.SEGMENT_S", 0.05)
    monkeypatch.setattr("dunes.gateway.changing.RESET_LOOK_S", 0.5)

    async def body():
        at = place(3)
        async with at.site:
            await at.set_up()
            async with at.listening() as gateway:
                proxy = at.named(
                    next(e.name for e in at.site.hosted if e.address == gateway.proxies.address)
                )
                others = [each for each in at.site.hosted if each is not proxy]
                lost, silent = others
                lost.silent = silent.silent = True
                with pytest.raises(NoAnswer, match="does not confirm"):
                    await remove(gateway, {"node": lost.name})
                with pytest.raises(NoAnswer, match="hold the key refresh up"):
                    await remove(gateway, {"node": lost.name, "exclude": True})
                held = await refresh_keys(gateway, {})
                assert (0, (silent.name,)) == (held.refreshed, held.holding)
                silent.silent = False
                assert 3 == (await refresh_keys(gateway, {})).refreshed
                key = gateway.manager.stack.keys.subnets[0].current.key
                assert key == silent.node.stack.keys.subnets[0].current.key
                assert key != lost.node.stack.keys.subnets[0].current.key
                assert lost.name not in [view.name for view in gateway.store.views()]

    in_loop(body)


def test_the_owner_of_a_mesh_answers_others_and_says_what_is_wrong(place):
    async def body():
        at = place(1)
        async with at.site:
            await at.set_up()
            path = socket_path(at.home.paths, "lunar-ble-001")
            with pytest.raises(NoOwner):
                await ask_owner(path, "status", {}, timeout_s=2)
            async with at.listening() as gateway, Service(path, verbs_of(gateway)).serving():
                asked = {"device": "hab-sensor-001", "onoff": "on"}
                said = await ask_owner(path, "send", asked, timeout_s=5)
                assert ({"onoff": "on"}, True) == (said["state"], said["simulated"])
                with pytest.raises(DunesError, match="hab-sensor-9") as wrong:
                    await ask_owner(path, "send", {"device": "hab-sensor-9"}, timeout_s=5)
                assert ("unknown-node", 66) == (wrong.value.code, wrong.value.exit)
                with pytest.raises(DunesError, match="no such verb"):
                    await ask_owner(path, "dance", {}, timeout_s=5)
                with pytest.raises(DunesError, match="missing or wrong"):
                    await ask_owner(path, "send", {}, timeout_s=5)
                report = await standing(at.home, None)
                assert (1, True, True) == (
                    report.configured,
                    report.live.online,
                    report.live.simulated,
                )
                await garbage(path)
                assert await ask_owner(path, "status", {}, timeout_s=5)
            assert not path.exists()
            assert (await standing(at.home, None)).live is None

    in_loop(body)


def test_what_a_node_repeats_after_the_listener_began_anew_is_evidence_once(place, monkeypatch):
    async def body():
        at = place(1)
        async with at.site:
            await at.set_up()
            [node] = at.site.hosted
            path = socket_path(at.home.paths, "lunar-ble-001")
            async with at.listening():
                for number in range(12):
                    node.report(1, number)
                await until(lambda: len(at.heard) == 12)
            async with at.listening() as gateway, Service(path, verbs_of(gateway)).serving():
                node.node.stack.sequence.next -= 14  # the reports', and two for the proxies
                for number in range(12):
                    node.report(1, number)
                await until(lambda: gateway.manager.stack.suspects.total() == 12)
                played = await asyncio.to_thread(gather, at.home)
                assert ([], True) == (played.events, played.simulated)
                monkeypatch.setattr(FakeRadio, "simulated", False)
                seen = await asyncio.to_thread(gather, at.home)
                assert [("hab-sensor-001", "replay", 12)] == [
                    (event.subject, event.kind, event.count) for event in seen.events
                ]
                seen.remember()
                assert [] == (await asyncio.to_thread(gather, at.home)).events

    in_loop(body)


async def garbage(path):
    """Say what is no JSON, a line that never ends, and hang up in the middle."""
    for octets in (b"hello\n", b"[1]\n", b"\xff\xfe\n", b"x" * 3_000_000, b'{"id":'):
        raw = socket.socket(socket.AF_UNIX)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, str(path))
        reader, writer = await asyncio.open_unix_connection(sock=raw)
        try:
            writer.write(octets)
            await writer.drain()
            if octets.endswith(b"\n"):
                answer = json.loads(await reader.readline())
                assert 76 == answer["error"]["exit"]
        except ConnectionError:
            pass  # a line without end is not read to its end
        finally:
            writer.close()


def test_another_design_is_brought_to_all_nodes_and_the_same_one_to_none(place):
    async def body():
        at = place(2)
        async with at.site:
            await at.set_up()
            connects = at.radio.connects
            again = await at.set_up()
            assert (0, 0) == (again.changed, at.radio.connects)
            request = Request(2, PROFILE, replace(PROFILE.mode("low"), transmissions=5), 100.0)
            other = await set_up(
                at.home, request, tell=lambda _: None, note=at.said.append, warn=at.said.append
            )
            assert (True, 2) == (other.complete, other.changed)
            assert connects
            octets = {each.node.config.config.network_transmit for each in at.site.hosted}
            assert {4 | 1 << 3} == octets

    in_loop(body)


def test_what_another_profile_leaves_out_is_taken_from_the_nodes(place):
    async def body():
        at = place(1)
        async with at.site:
            await at.set_up()
            sensor, onoff = ModelId(0x1100), ModelId(0x1000)
            (node,) = at.site.hosted
            config = node.node.config.config
            assert (0xC001, (0xC003,)) == (
                config.of(0, sensor).publication.address,
                config.of(0, onoff).groups,
            )
            text = (
                "[groups]\nlamps = 0xC100\n"
                '[[models]]\nid = "1100"\n'
                '[[models]]\nid = "1000"\nsubscribe = ["lamps"]\n'
            )
            other = load_profile(text)
            request = Request(1, other, other.mode("low"), 100.0)
            done = await set_up(
                at.home, request, tell=lambda _: None, note=at.said.append, warn=at.said.append
            )
            assert (True, 1) == (done.complete, done.changed)
            config = node.node.config.config
            assert (None, (0xC100,)) == (
                config.of(0, sensor).publication,
                config.of(0, onoff).groups,
            )
            again = await set_up(
                at.home, request, tell=lambda _: None, note=at.said.append, warn=at.said.append
            )
            assert 0 == again.changed

    in_loop(body)


def test_a_change_that_was_cut_off_is_not_taken_for_done(place):
    async def body():
        at = place(2)
        async with at.site:
            await at.set_up()
            other = replace(PROFILE.mode("low"), transmissions=5)
            one = at.site.hosted[0]
            one.silent = True
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("dunes.mesh.requests.TIMEOUT_S", 0.1)
                patch.setattr("dunes.gateway.proxies.QUIET_S", 60.0)
                cut = await set_up(
                    at.home,
                    Request(2, PROFILE, other, 100.0, quiet_s=0.3),
                    tell=lambda _: None, note=at.said.append, warn=at.said.append,
                )  # fmt: skip
            one.silent = False
            assert [one.node.description.uuid.hex()] == [each.uuid for each in cut.failed]
            assert (await at.set_up()).changed == 2
            octets = {each.node.config.config.network_transmit for each in at.site.hosted}
            assert {2 | 1 << 3} == octets

    in_loop(body)
