"""check-buffer's eyes: each kind of damage is found, named and bounded to its frames."""

import hashlib
from dataclasses import replace

import pytest
from sqlalchemy import text

import dunes.buffer.appender as appender_module
from dunes.buffer import chainwalk
from dunes.buffer.ack import AckedLane, apply_receipt
from dunes.buffer.appender import Appender
from dunes.buffer.findings import Kind
from dunes.buffer.keyrecords import key_records
from dunes.buffer.query import Query, query
from dunes.buffer.read import stored_frame, stored_frames, tombstones
from dunes.buffer.records import DropReason
from dunes.buffer.repair import plan, repair
from dunes.buffer.verify import Checks, GroundLane, check
from dunes.clock import rfc3339
from dunes.crypto.framekeys import FrameOpener, FrameSealer
from dunes.crypto.signing import SigningKey
from dunes.crypto.xwing import RecipientKey
from dunes.errors import DunesError
from dunes.model import Priority

TABLE = "lunar_telemetry"


@pytest.fixture
def filled(buffer, fill, key, time):
    """100 routine readings in 10 frames, 2 alerts, all signed."""
    appender = Appender(buffer, TABLE, signer=key)
    fill(appender, 100)
    fill(appender, 2, per_frame=1, priority=Priority.ALERT)
    appender.close()
    time.sleep(5)
    return buffer


@pytest.fixture
def look(key):
    def look(buffer, **checks):
        return check(buffer, TABLE, Checks(keys={key.kid: key.public}, **checks))

    return look


def run(buffer, *statements):
    with buffer.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))


def only(report):
    assert 1 == len(report.findings), report.findings
    return report.findings[0]


def seqs(buffer):
    found = query(buffer, TABLE, Query(priority=Priority.ROUTINE), lambda _: None).readings
    return [x.reading.seq for x in found]


def test_a_sound_buffer_is_sound(filled, look, reading):
    report = look(filled, deep=True)
    assert report.intact
    assert [] == report.findings
    assert (12, 102, "none", True) == (
        report.frames,
        report.readings,
        report.sealed,
        report.sqlite_safe,
    )
    assert ["database", "chain", "signatures", "content"] == report.levels
    alert, warning, routine = report.lanes
    assert ("routine", 10, 100, 1, 10, 100, 0, 100, "good", 10, 5.0) == (
        routine.lane,
        routine.frames,
        routine.readings,
        routine.first_no,
        routine.last_no,
        routine.written,
        routine.acknowledged,
        routine.pending,
        routine.signature,
        routine.signed_no,
        routine.signed_age_s,
    )
    assert (rfc3339(reading(0).ts_us), rfc3339(reading(99).ts_us)) == (
        routine.first_at,
        routine.last_at,
    )
    assert ("good", 2) == (alert.signature, alert.signed_no)
    assert ("none", None, None) == (warning.signature, warning.signed_no, warning.first_at)


def test_an_acknowledged_prefix_is_no_gap(filled, look):
    stream = filled.streams()[0]
    with filled.reading() as connection:
        point = AckedLane(2, 4, stored_frame(connection, stream.id, 2, 4).hash)
    apply_receipt(filled, stream, "gs", 1, [point], b"")
    report = look(filled)
    assert report.intact
    assert (5, 40, 60) == (
        report.lanes[2].first_no,
        report.lanes[2].acknowledged,
        report.lanes[2].pending,
    )


@pytest.mark.parametrize(
    ("statement", "kind", "readings"),
    [
        ("UPDATE frame SET body=zeroblob(length(body)) WHERE lane=2 AND no=4", "bitrot", 10),
        ("UPDATE frame SET body=substr(body,2) WHERE lane=2 AND no=4", "bitrot", 10),
        ("UPDATE frame SET header=zeroblob(120) WHERE lane=2 AND no=4", "bitrot", 10),
        ("UPDATE frame SET header=zeroblob(3) WHERE lane=2 AND no=4", "bitrot", 10),
        ("UPDATE frame SET hash=zeroblob(32) WHERE lane=2 AND no=4", "bitrot", 0),
        ("UPDATE frame SET ts_max=ts_max+1 WHERE lane=2 AND no=4", "tamper", 10),
        ("DELETE FROM frame WHERE lane=2 AND no=4", "gap", 10),
        ("DELETE FROM frame WHERE lane=2 AND no BETWEEN 4 AND 6", "gap", 30),
        ("DELETE FROM frame WHERE lane=2 AND no=1", "gap", 10),
        ("DELETE FROM frame WHERE lane=2 AND no>8", "truncated", 20),
        ("DELETE FROM frame WHERE lane=2", "truncated", 100),
    ],
    ids=str,
)
def test_damage_is_found_and_named(filled, look, statement, kind, readings):
    run(filled, statement)
    report = look(filled)
    assert not report.intact
    assert kind == only(report).kind
    assert readings == report.affected


def test_a_gap_tells_which_readings_are_missing(filled, look, reading):
    run(filled, "DELETE FROM frame WHERE lane=2 AND no BETWEEN 4 AND 5")
    found = only(look(filled))
    assert ("routine", 4, 5, 31, 50, 20) == (
        found.lane,
        found.from_no,
        found.to_no,
        found.from_msg,
        found.to_msg,
        found.readings,
    )
    assert (rfc3339(reading(29).ts_us), rfc3339(reading(50).ts_us)) == (
        found.from_at,
        found.to_at,
    )


def test_a_tail_cut_with_its_counters_is_found_by_the_signature(filled, look):
    with filled.reading() as connection:
        last = stored_frame(connection, 1, 2, 8)
    run(filled, "DELETE FROM frame WHERE lane=2 AND no>8")
    with filled.writing() as connection:
        filled.update_lane(
            connection,
            1,
            2,
            next_no=9,
            next_msg=81,
            head_hash=last.hash,
            frames=8,
            msgs=80,
            size_bytes=sum(len(x.encoded) for x in stored_frames(connection, 1, 2)),
        )
    found = only(look(filled))
    assert (Kind.TRUNCATED, 9, 10, 81, 100, 20) == (
        found.kind,
        found.from_no,
        found.to_no,
        found.from_msg,
        found.to_msg,
        found.readings,
    )


def test_frames_that_changed_places_are_found(filled, look):
    run(
        filled,
        "UPDATE frame SET no=-1 WHERE lane=2 AND no=3",
        "UPDATE frame SET no=3 WHERE lane=2 AND no=7",
        "UPDATE frame SET no=7 WHERE lane=2 AND no=-1",
    )
    report = look(filled)
    assert {(Kind.REORDER, 3), (Kind.REORDER, 7)} == {(f.kind, f.from_no) for f in report.findings}


def test_a_copied_frame_is_found(filled, look):
    run(
        filled,
        "UPDATE frame SET (header, body, hash) = "
        "(SELECT header, body, hash FROM frame WHERE lane=2 AND no=2) WHERE lane=2 AND no=6",
    )
    found = only(look(filled))
    assert (Kind.DUPLICATE, 6) == (found.kind, found.from_no)


def test_a_replaced_frame_is_found(filled, look, fill, open_at):
    other = open_at("other.db")
    fill(Appender(other, TABLE), 100, value=1.0)
    with other.reading() as connection:
        fake = stored_frame(connection, 1, 2, 5)
    with filled.writing() as connection:
        stream = filled.streams()[0]
        header = bytearray(fake.header)
        header[12:28] = stream.epoch
        with filled.reading() as reader:
            header[84:116] = stored_frame(reader, 1, 2, 4).hash
        connection.execute(
            text("UPDATE frame SET header=:h, body=:b, hash=:x WHERE lane=2 AND no=5"),
            {
                "h": bytes(header),
                "b": fake.body,
                "x": hashlib.sha256(bytes(header) + fake.body).digest(),
            },
        )
    found = only(look(filled))
    assert (Kind.TAMPER, 5, 10) == (found.kind, found.from_no, found.readings)


def test_wrong_counters_are_found(filled, look):
    run(filled, "UPDATE lane SET msgs=msgs+1 WHERE lane=2")
    assert Kind.COUNTERS == only(look(filled)).kind


def test_a_stranger_cannot_vouch(filled, look, fill, time):
    assert "unknown key" == check(filled, TABLE, Checks()).lanes[2].signature
    stranger = SigningKey.generate()
    time.sleep(20)
    appender = Appender(filled, TABLE, signer=stranger)
    fill(appender, 10)
    appender.close()
    report = look(filled)
    assert "unknown key" == report.lanes[2].signature
    assert report.intact


def test_a_changed_signature_is_found(filled, look):
    with filled.writing() as connection:
        query = text("SELECT no, record FROM head_sig WHERE lane=2")
        for no, record in connection.execute(query).all():
            connection.execute(
                text("UPDATE head_sig SET record=:record WHERE lane=2 AND no=:no"),
                {"record": record[:-1] + bytes([record[-1] ^ 1]), "no": no},
            )
    report = look(filled)
    assert {Kind.SIGNATURE} == {f.kind for f in report.findings}
    assert not report.intact


def test_a_receipt_that_does_not_verify_is_found(filled, look):
    stream = filled.streams()[0]
    apply_receipt(filled, stream, "gs", 1, [], b"receipt")

    def refuse(_stream, destination, body):
        assert ("gs", b"receipt") == (destination, body)
        msg = "changed"
        raise DunesError(msg)

    assert Kind.SIGNATURE == only(look(filled, check_receipt=refuse)).kind


# -- content -------------------------------------------------------------------------


def test_content_that_the_chain_cannot_judge_is_found_by_a_deep_look(
    buffer, appender, fill, look, monkeypatch
):
    fill(appender, 20)
    original = appender_module.pack_readings

    def corrupt(readings, lane):
        return replace(original(readings, lane), n=len(readings) + 1)

    with monkeypatch.context() as patch:
        patch.setattr(appender_module, "pack_readings", corrupt)
        fill(appender, 10)
    assert look(buffer).intact
    found = only(look(buffer, deep=True))
    assert (Kind.CONTENT, 3) == (found.kind, found.from_no)


def test_sealed_content_is_checked_with_a_key_and_told_without(buffer, key, fill, look):
    recipient = RecipientKey.from_xwing_seed("ab" * 16, bytes(32))
    appender = Appender(
        buffer,
        TABLE,
        make_sealer=lambda s: FrameSealer.new([recipient.public], key, s.table, bytes(32), 1),
    )
    fill(appender, 20)
    report = look(buffer, deep=True)
    assert ("all", True) == (report.sealed, report.intact)
    assert Kind.SEALED == only(report).kind

    def opener_for(stream):
        opener = FrameOpener([recipient], [key.public])
        with buffer.reading() as connection:
            for _, record in key_records(connection, stream.id):
                opener.add_record(record)
        return opener

    assert [] == look(buffer, deep=True, opener_for=opener_for).findings


def test_a_clock_that_went_back_is_told_and_no_damage(buffer, appender, reading, look):
    for i, second in enumerate([1000, 1001, 10, 11]):
        appender.add(reading(i, device="d-1", ts_us=second * 1_000_000))
        appender.commit()
    report = look(buffer)
    assert report.intact
    assert (Kind.CLOCK, "time went back by 991 s") == (only(report).kind, only(report).detail)
    deep = look(buffer, deep=True)
    assert "the clock of d-1 went back by 991 s" in {f.detail for f in deep.findings}


# -- the ground ----------------------------------------------------------------------


class Earth:
    name = "earth-gs"

    def __init__(self, **lanes):
        self.told = {int(Priority[k.upper()]): GroundLane(*v) for k, v in lanes.items()}

    def lanes(self, _stream):
        return self.told


def test_the_ground_agrees(filled, look):
    with filled.reading() as connection:
        point = stored_frame(connection, 1, 2, 6)
    report = look(filled, ground=Earth(routine=(6, point.hash)))
    assert report.intact
    assert "ground" in report.levels


@pytest.mark.parametrize(
    ("there", "kind"),
    [((6, b"\1" * 32), Kind.TAMPER), ((12, b"\1" * 32), Kind.TRUNCATED)],
)
def test_the_ground_disagrees(filled, look, there, kind):
    found = only(look(filled, ground=Earth(routine=there)))
    assert kind == found.kind
    assert "earth-gs" in found.detail


def test_a_ground_that_lost_what_it_acknowledged_is_told(filled, look):
    with filled.reading() as connection:
        four, two = (stored_frame(connection, 1, 2, no).hash for no in (4, 2))
    apply_receipt(filled, filled.streams()[0], "earth-gs", 1, [AckedLane(2, 4, four)], b"")
    found = only(look(filled, ground=Earth(routine=(2, two))))
    assert (Kind.TRUNCATED, 3, 4) == (found.kind, found.from_no, found.to_no)


def test_damage_below_an_acknowledgement_is_safe_at_the_ground(filled, look):
    with filled.reading() as connection:
        point = AckedLane(2, 5, stored_frame(connection, 1, 2, 5).hash)
    apply_receipt(filled, filled.streams()[0], "gs-1", 1, [point], b"", ["gs-1", "gs-2"])
    run(
        filled,
        "UPDATE frame SET body=zeroblob(length(body)) WHERE lane=2 AND no=3",
        "UPDATE frame SET body=zeroblob(length(body)) WHERE lane=2 AND no=8",
    )
    report = look(filled)
    assert [(3, True), (8, False)] == [(f.from_no, f.at_ground) for f in report.findings]


# -- beside a writer -----------------------------------------------------------------


@pytest.fixture
def pages(monkeypatch):
    """Have the walk read three frames a page; the list has a member for each page asked for."""
    original, calls = chainwalk.stored_frames, []

    def paged(connection, stream_id, lane, after_no):
        calls.append(after_no)
        return original(connection, stream_id, lane, after_no, limit=3)

    monkeypatch.setattr(chainwalk, "stored_frames", paged)
    return calls


def test_a_check_runs_beside_a_writer_and_an_acknowledgement(filled, fill, look, pages):
    stream = filled.streams()[0]
    appender = Appender(filled, TABLE)
    with filled.reading() as connection:
        point = AckedLane(2, 7, stored_frame(connection, 1, 2, 7).hash)

    def meanwhile(_frames):
        if len(pages) == 4:  # one page of routine frames was walked
            fill(appender, 10)
            apply_receipt(filled, stream, "gs", 1, [point], b"")

    report = look(filled, progress=meanwhile)
    assert [] == report.findings
    assert 70 == report.lanes[2].acknowledged  # by what came meanwhile


@pytest.mark.parametrize(
    ("statement", "kind", "span"),
    [
        ("DELETE FROM frame WHERE lane=2 AND no BETWEEN 7 AND 8", Kind.GAP, (7, 8, 61, 80)),
        ("DELETE FROM frame WHERE lane=2 AND no>6", Kind.TRUNCATED, (7, 10, 61, 100)),
    ],
    ids=["gap", "tail"],
)
def test_what_is_missing_above_an_acknowledgement_is_found_beside_it(
    filled, look, pages, statement, kind, span
):
    with filled.reading() as connection:
        point = AckedLane(2, 6, stored_frame(connection, 1, 2, 6).hash)
    run(filled, statement)

    def meanwhile(_frames):
        if len(pages) == 4:
            apply_receipt(filled, filled.streams()[0], "gs", 1, [point], b"")

    report = look(filled, progress=meanwhile)
    assert 60 == report.lanes[2].acknowledged
    found = only(report)
    assert (kind, *span) == (
        found.kind,
        found.from_no,
        found.to_no,
        found.from_msg,
        found.to_msg,
    )


# -- repair --------------------------------------------------------------------------

DAMAGES = {
    "body": "UPDATE frame SET body=zeroblob(length(body)) WHERE lane=2 AND no=4",
    "header": "UPDATE frame SET header=zeroblob(120) WHERE lane=2 AND no=4",
    "first": "DELETE FROM frame WHERE lane=2 AND no=1",
    "middle": "DELETE FROM frame WHERE lane=2 AND no BETWEEN 4 AND 6",
    "last": "UPDATE frame SET body=zeroblob(length(body)) WHERE lane=2 AND no=10",
    "tail": "DELETE FROM frame WHERE lane=2 AND no>8",
    "row": "UPDATE frame SET ts_max=ts_max+1 WHERE lane=2 AND no=4",
}
LOST = {
    "body": range(30, 40),
    "header": range(30, 40),
    "first": range(10),
    "middle": range(30, 60),
    "last": range(90, 100),
    "tail": range(80, 100),
    "row": range(30, 40),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_repaired_lane_is_sound_and_goes_on(filled, look, name, tmp_path, fill):
    run(filled, DAMAGES[name])
    report = look(filled)
    assert 1 == len(plan(report))
    done = repair(filled, report, tmp_path / "aside")
    assert 1 == len(done)
    after = look(filled, deep=True)
    assert [] == after.findings
    lost = LOST[name]
    assert len(lost) == after.lanes[2].dropped
    assert [i for i in range(100) if i not in lost] == seqs(filled)
    with filled.reading() as connection:
        (tomb,) = tombstones(connection, 1, 2)
    missing = name in {"first", "middle", "tail"}
    assert (DropReason.MISSING if missing else DropReason.DAMAGED) == tomb.reason
    assert (lost[0] + 1, len(lost)) == (tomb.first_msg, tomb.n_msgs)
    assert (0 if missing else 1) == len(list((tmp_path / "aside").glob("*.frame")))
    fill(Appender(filled, TABLE), 10, start=200)
    assert look(filled).intact
    assert 110 == look(filled).lanes[2].written


def test_only_a_stored_hash_is_mended_without_loss(filled, look, tmp_path):
    run(filled, "UPDATE frame SET hash=zeroblob(32) WHERE lane=2 AND no=4")
    repair(filled, look(filled), tmp_path / "aside")
    assert look(filled, deep=True).intact
    assert list(range(100)) == seqs(filled)


def test_counters_and_signatures_are_mended(filled, look, tmp_path):
    run(
        filled,
        "UPDATE lane SET msgs=7, frames=1 WHERE lane=2",
        "UPDATE head_sig SET record=zeroblob(10) WHERE lane=0",
    )
    report = look(filled)
    assert {Kind.COUNTERS, Kind.SIGNATURE} == {f.kind for f in report.findings}
    repair(filled, report, tmp_path / "aside")
    assert look(filled).intact


def test_a_tail_that_only_a_signature_knows_is_tombstoned(filled, look, tmp_path, fill):
    test_a_tail_cut_with_its_counters_is_found_by_the_signature(filled, look)
    repair(filled, look(filled), tmp_path / "aside")
    assert look(filled).intact
    fill(Appender(filled, TABLE), 10)
    report = look(filled)
    assert (True, 11, 110) == (report.intact, report.lanes[2].last_no, report.lanes[2].written)
