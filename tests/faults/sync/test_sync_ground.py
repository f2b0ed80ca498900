"""What a ground station may do to a gateway, and what the gateway makes of it."""

import contextlib
import sqlite3
import time
from dataclasses import replace

import pytest

from dunes.buffer.frameheader import NO_HASH
from dunes.clock import Clock
from dunes.errors import Denied, PeerError, TryLater
from dunes.model import Priority
from dunes.uplink.errors import BadReceipt, GroundWentBack, OtherHistory
from dunes.uplink.ground import GroundStation
from dunes.uplink.hold import clear_hold, set_hold
from dunes.uplink.target import key_path, pin_key


def response(status, body, kind="text/html", extra=""):
    head = f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n{extra}"
    return head.encode() + b"connection: close\r\n\r\n" + body


def test_everything_arrives_once_alerts_too_and_is_freed(gateway, ground):
    gateway.write(frames=250)
    gateway.write(frames=2, readings=1, lane=Priority.ALERT)
    report = gateway.sync()
    assert (True, 252, 752) == (report.complete, report.frames, report.readings)
    assert list(range(1, 751)) == ground.seqs()
    assert [1, 2] == ground.seqs(Priority.ALERT)
    assert 0 == gateway.stored_frames()
    again = gateway.sync()
    assert (True, 0, 0) == (again.complete, again.frames, again.requests)


def test_two_gateways_and_two_tables_do_not_mix(gateway, ground, make_gateway):
    other = make_gateway("other")
    other.join(ground)
    gateway.write(frames=3)
    gateway.write(frames=2, table="iot_data")
    other.write(frames=4, device="rover")
    assert 9 == gateway.sync().readings
    assert 6 == gateway.sync(table="iot-data").readings
    assert 12 == other.sync().readings
    assert {"hab-1", "rover"} == {r.device for r in ground.readings()}


def test_a_stranger_is_refused_and_leaves_nothing_behind(make_gateway, ground):
    stranger = make_gateway("stranger")
    stranger.point_at(ground.running.url, ground.running.tls_sha256)
    stranger.write()
    with pytest.raises(Denied, match="no gateway of that name and API key is enrolled"):
        stranger.sync()
    with ground.buffer() as buffer:
        assert [] == buffer.streams()
    assert 1 == stranger.stored_frames()


def test_a_ground_station_that_is_down_leaves_all_queued(gateway, ground):
    gateway.write(frames=5)
    ground.stop()
    with pytest.raises(TryLater) as caught:
        gateway.sync(timeout_s=1.0)
    assert "link-down" == caught.value.code
    report = gateway.last.report
    assert ("queued", 5, 15) == (report.state, report.left_frames, report.left_readings)
    ground.start()
    assert 15 == gateway.sync().readings


def test_it_comes_back_in_the_middle_of_a_sync(gateway, ground, loop):
    gateway.write(frames=3)
    ground.stop()
    loop.loop.call_soon_threadsafe(
        loop.loop.call_later, 0.8, lambda: loop.loop.run_in_executor(None, ground.start)
    )
    assert 9 == gateway.sync(timeout_s=15.0).readings


def test_another_certificate_is_not_trusted(gateway, ground):
    gateway.write()
    gateway.point_at(ground.running.url, "ab" * 32)
    with pytest.raises(Denied, match="another certificate than the trusted one"):
        gateway.sync()
    assert 1 == gateway.stored_frames()


class WrongHash(GroundStation):
    def _receipt(self, stream, ledger, receipt_no):
        true = GroundStation._receipt(self, stream, ledger, receipt_no)
        lanes = {
            n: replace(lane, cum_hash=b"x" * 32) if lane.cum else lane
            for n, lane in true.lanes.items()
        }
        return replace(true, lanes=lanes).sign(self.signer)


class BeyondSent(GroundStation):
    def _receipt(self, stream, ledger, receipt_no):
        true = GroundStation._receipt(self, stream, ledger, receipt_no)
        lanes = dict(true.lanes)
        said = lanes[2]
        lanes[2] = replace(
            said,
            cum=said.cum + 1000,
            cum_msg=said.cum_msg + 9000,
            cum_hash=b"y" * 32,
            max_seen=said.cum + 1000,
            known_from=said.cum + 1001,
            known_to=said.cum + 1000,
            gaps=(),
        )
        return replace(true, lanes=lanes).sign(self.signer)


class Foreign(GroundStation):
    def _receipt(self, stream, ledger, receipt_no):
        true = GroundStation._receipt(self, stream, ledger, receipt_no)
        return replace(true, signature=bytes(len(true.signature)))


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        (WrongHash, OtherHistory, "but ours is"),
        (BeyondSent, OtherHistory, "only 4 were ever written here"),
        (Foreign, BadReceipt, "signature is not the ground station's"),
    ],
)
def test_a_lie_is_told_and_nothing_is_deleted(make_gateway, make_ground, kind, error, words):
    ground = make_ground(kind)
    gateway = make_gateway()
    gateway.join(ground)
    gateway.write(frames=4)
    with pytest.raises(error, match=words) as caught:
        gateway.sync()
    assert 76 == caught.value.exit
    assert "nothing was deleted" in caught.value.hint
    assert 4 == gateway.stored_frames()


def test_a_receipt_of_another_station_is_not_believed(gateway, make_gateway, ground):
    gateway.write(frames=2)
    stranger = make_gateway("stranger")
    pin_key(gateway.paths, "earth-gs", stranger.identity.signing.public)
    with pytest.raises(BadReceipt, match="not by the ground station's key"):
        gateway.sync()
    assert 2 == gateway.stored_frames()


class Forgetful(GroundStation):
    """Answers, and only then finds that it cannot commit."""

    def take(self, gateway, table, epoch, body):
        true, self.buffer = self.buffer, Undone(self.buffer)
        try:
            return GroundStation.take(self, gateway, table, epoch, body)
        finally:
            self.buffer = true


class Undone:
    """A buffer whose transactions are undone at their end."""

    def __init__(self, buffer):
        self.buffer = buffer

    def __getattr__(self, name):
        return getattr(self.buffer, name)

    @contextlib.contextmanager
    def writing(self):
        with self.buffer.engine.connect() as connection, connection.begin() as transaction:
            yield connection
            transaction.rollback()


def test_a_receiver_that_answers_before_it_commits_fails_the_check_of_this_suite(
    make_gateway, make_ground
):
    """The control: what the other tests ask for is not there with such a receiver."""
    ground = make_ground(Forgetful)
    gateway = make_gateway()
    gateway.join(ground)
    gateway.write(frames=3)
    assert 9 == gateway.sync().readings
    assert 0 == gateway.stored_frames()
    assert [] == ground.seqs()


def test_a_ground_station_set_back_to_an_old_copy_is_named(gateway, ground):
    gateway.write(frames=3)
    gateway.sync()
    ground.stop()
    with sqlite3.connect(ground.data / "ground.db") as raw:
        old = raw.execute("SELECT count(*) FROM frame").fetchone()
        assert (3,) == old
        copy = ground.data.parent / "copy.db"
        raw.execute(f"VACUUM INTO '{copy}'")
    raw.close()
    ground.start()
    gateway.write(frames=3)
    gateway.sync()
    ground.stop()
    for name in ("ground.db", "ground.db-wal", "ground.db-shm"):
        (ground.data / name).unlink(missing_ok=True)
    copy.rename(ground.data / "ground.db")
    ground.start()
    gateway.write(frames=1)
    with pytest.raises(GroundWentBack, match="its store was set back"):
        gateway.sync()
    assert 1 == gateway.stored_frames()


@pytest.mark.parametrize(
    ("status", "code"),
    [("500 Oops", "ground-busy"), ("503 Busy", "ground-busy"), ("507 Full", "ground-busy")],
)
def test_a_server_error_leaves_all_queued(gateway, impostor, status, code):
    gateway.write(frames=2)
    url, sha256, count = impostor(lambda _h, _n: response(status, b"<html>no</html>"))
    gateway.point_at(url, sha256)
    with pytest.raises(TryLater, match=status[:3]):
        gateway.sync(timeout_s=1.0)
    assert count[0] >= 1
    assert 2 == gateway.stored_frames()


def test_retry_after_is_honoured(gateway, impostor):
    gateway.write(frames=2)
    url, sha256, count = impostor(
        lambda _h, _n: response("429 Slow down", b"{}", extra="retry-after: 60\r\n")
    )
    gateway.point_at(url, sha256)
    with pytest.raises(TryLater, match="429"):
        gateway.sync(timeout_s=1.5)
    assert count[0] <= 2


def test_a_station_whose_document_is_asked_for_has_its_retry_after_too(
    make_gateway, ground, impostor
):
    gateway = make_gateway("pem-only")
    gateway.join(ground, readable=False)
    gateway.write(frames=2)
    url, sha256, count = impostor(
        lambda _h, _n: response("429 Slow down", b"{}", extra="retry-after: 60\r\n")
    )
    gateway.point_at(url, sha256)
    with pytest.raises(TryLater, match="429"):
        gateway.sync(timeout_s=1.5)
    assert 1 == count[0]


def test_html_in_place_of_a_receipt_is_named(gateway, impostor):
    gateway.write(frames=2)
    url, sha256, _ = impostor(lambda _h, _n: response("200 OK", b"<html>Log in</html>"))
    gateway.point_at(url, sha256)
    with pytest.raises(PeerError, match="not a receipt") as caught:
        gateway.sync()
    assert "captive portal" in caught.value.hint
    assert 2 == gateway.stored_frames()


def test_a_page_that_is_not_there_is_no_ground_station(gateway, impostor):
    gateway.write(frames=2)
    url, sha256, _ = impostor(lambda _h, _n: response("404 Not Found", b"<h1>nginx</h1>"))
    gateway.point_at(url, sha256)
    with pytest.raises(PeerError, match="as no ground station does"):
        gateway.sync()


def test_truncated_answers_are_tried_again(gateway, impostor):
    gateway.write(frames=2)
    whole = response("200 OK", b"x" * 500)
    url, sha256, count = impostor(lambda _h, _n: whole[:-100])
    gateway.point_at(url, sha256)
    with pytest.raises(TryLater):
        gateway.sync(timeout_s=1.0)
    assert count[0] >= 2
    assert 2 == gateway.stored_frames()


def test_a_silent_ground_station_is_given_up_in_time(gateway, impostor):
    gateway.write(frames=2)
    url, sha256, _ = impostor(lambda _h, _n: None)
    gateway.point_at(url, sha256)
    began = time.monotonic()
    with pytest.raises(TryLater):
        gateway.sync(timeout_s=1.0)
    assert time.monotonic() - began < 3.0


def test_a_held_uplink_is_a_link_that_is_down(gateway, ground):
    gateway.write(frames=2)
    now_us = time.time_ns() // 1000
    set_hold(gateway.paths, now_us, now_us + 60_000_000, "a rehearsal")
    with pytest.raises(TryLater, match="a rehearsal"):
        gateway.sync()
    assert 2 == gateway.last.report.left_frames
    assert clear_hold(gateway.paths)
    assert 6 == gateway.sync().readings


def test_clocks_that_jump_back_change_nothing(gateway, ground):
    gateway.write(frames=2)
    gateway.sync()
    ground.station.clock = Clock(time.monotonic, lambda: 1)
    gateway.write(frames=1, begin_us=1_000_000)
    assert 3 == gateway.sync(clock=Clock(time.monotonic, lambda: 2)).readings
    assert [1, 2, 3, 4, 5, 6, 7, 8, 9] == sorted(ground.seqs())


def test_the_key_of_the_ground_station_is_taken_on_first_use_and_shown(gateway, ground):
    gateway.write()
    path = key_path(gateway.paths, "earth-gs")
    path.unlink()
    report = gateway.sync()
    assert ground.running.kid == report.station
    assert [note for note in report.notes if ground.running.kid in note]
    assert ground.running.public_key == path.read_text()


def test_an_empty_lane_has_no_hash(ground, gateway):
    gateway.write()
    gateway.sync()
    with ground.buffer() as buffer:
        stream = buffer.streams()[0]
        with buffer.reading() as connection:
            assert NO_HASH == bytes(buffer.lanes(connection, stream)[0].cum_hash)
