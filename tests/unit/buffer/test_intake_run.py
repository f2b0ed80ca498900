"""The loop: files, pipes and growing files into the buffer, each line exactly once."""

import json
import os
import threading

import pytest

from dunes.buffer.appender import Appender
from dunes.buffer.cursor import load_position
from dunes.buffer.intake.decode import Format
from dunes.buffer.intake.lock import follow_lock
from dunes.buffer.intake.run import IngestReport, Intake, StrictStop, Voice
from dunes.buffer.intake.source import FollowedFile, Stream, What
from dunes.buffer.intake.stop import Stop
from dunes.buffer.query import Query, query
from dunes.clock import SYSTEM_CLOCK
from dunes.errors import DataError, Denied, NotFound, StorageFull, TryLater
from dunes.model import Priority
from dunes.paths import find_paths

TABLE = "lunar_telemetry"


def line(seq, **changes):
    good = {"device": "d-1", "kind": "co2", "value": 600 + seq % 50, "unit": "ppm"}
    return json.dumps(good | {"ts_us": 1000 + seq, "seq": seq} | changes) + "\n"


def lines(*seqs):
    return "".join(map(line, seqs))


@pytest.fixture
def buffer(open_at):
    return open_at(clock=SYSTEM_CLOCK)


@pytest.fixture
def seqs(buffer):
    def read():
        found = query(buffer, TABLE, Query(), lambda _: None).readings
        return [x.reading.seq for x in found]

    return read


class Run:
    """A file taken in, once or followed in a thread."""

    def __init__(self, buffer, path, *, follow=False, **options):
        self.buffer, self.path = buffer, path
        self.said = []
        self.stop = Stop()
        self.report = IngestReport(TABLE, "lunar-data", "gw-1", str(path))
        if follow:
            with buffer.reading() as connection:
                position = load_position(connection, str(path), TABLE)
            source = FollowedFile(path, position, self.stop.wake)
        else:
            source = Stream.open(path, self.stop.wake)
        voice = Voice(note=self.said.append, warn=self.said.append)
        self.appender = Appender(buffer, TABLE)
        self.intake = Intake(self.appender, source, self.report, self.stop, voice, **options)
        self.error = None

    def __enter__(self):
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        return self

    def _run(self):
        try:
            self.intake.run()
        except Exception as e:  # noqa: BLE001 - raised again where the test waits
            self.error = e

    def __exit__(self, *_):
        self.stop.request()
        self.thread.join(10)
        assert not self.thread.is_alive()
        if self.error is not None:
            raise self.error


def wait_for(condition, timeout_s=5.0):
    done = threading.Event()
    for _ in range(round(timeout_s / 0.01)):
        if condition():
            return
        done.wait(0.01)
    raise AssertionError(condition)


# -- once ----------------------------------------------------------------------------


def test_a_file_is_taken_in(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(*range(2500)) + "rubbish\n" + line(2500).rstrip())
    run = Run(buffer, path)
    run.intake.run()
    assert list(range(2501)) == seqs()
    report = run.report
    assert (2501, 1, {"not-json": 1}, "jsonl") == (
        report.accepted,
        report.rejected,
        report.reasons,
        report.format,
    )
    assert ("line 2501", 2501, "rubbish") == (
        report.rejects[0].place,
        report.rejects[0].line,
        report.rejects[0].excerpt,
    )
    assert report.frames < 10


def test_readings_of_one_time_are_kept_and_counted(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    path.write_text(line(1, ts_us=5) + line(2, ts_us=5) + line(3, ts_us=5, kind="o2", unit="%"))
    run = Run(buffer, path)
    run.intake.run()
    assert {1, 2, 3} == set(seqs())
    assert 1 == run.report.same_time


def test_strict_stops_at_the_first_reject_and_keeps_what_came_before(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0, 1) + "{}\n" + lines(2))
    run = Run(buffer, path, strict=True)
    with pytest.raises(StrictStop, match=r"line 3: no field device"):
        run.intake.run()
    assert [0, 1] == seqs()
    assert 1 == run.report.rejected


def test_a_broken_document_keeps_what_came_before(buffer, tmp_path, seqs):
    path = tmp_path / "a.json"
    path.write_text("[" + line(0) + "," + line(1) + ",}")
    run = Run(buffer, path)
    with pytest.raises(DataError, match="have ] here"):
        run.intake.run()
    assert [0, 1] == seqs()


def test_an_alert_is_stored_before_the_end_of_the_input(buffer, tmp_path):
    read, write = os.pipe()
    stop = Stop()
    report = IngestReport(TABLE, "", "gw-1", "-")
    appender = Appender(buffer, TABLE)
    intake = Intake(appender, Stream(read, "-", stop.wake), report, stop, Voice())
    thread = threading.Thread(target=intake.run)
    thread.start()
    os.write(write, (line(1, priority="alert") + line(2)).encode())
    wait_for(lambda: appender.totals.accepted[Priority.ALERT] == 1, 1)
    wait_for(lambda: appender.totals.accepted[Priority.ROUTINE] == 1, 1)  # after 100 ms
    os.close(write)
    thread.join(5)
    assert 2 == report.accepted
    os.close(read)


def test_missing_and_unreadable_files_are_said(tmp_path):
    with pytest.raises(NotFound, match=r"no file .*x\.jsonl"):
        Stream.open(tmp_path / "x.jsonl", 0)
    with pytest.raises(NotFound, match="is a folder"):
        Stream.open(tmp_path, 0)
    secret = tmp_path / "secret"
    secret.touch(mode=0)
    if os.geteuid():
        with pytest.raises(Denied):
            Stream.open(secret, 0)


def test_no_room_is_waited_for(buffer, tmp_path, seqs, monkeypatch):
    from dunes.buffer.intake import run as module

    path = tmp_path / "a.jsonl"
    path.write_text(lines(0, 1))
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    run = Run(buffer, path)
    original, tries = run.appender.commit, []

    def full(*args, **kwargs):
        tries.append(1)
        if len(tries) < 4:
            msg = "no space"
            raise StorageFull(msg)
        return original(*args, **kwargs)

    monkeypatch.setattr(run.appender, "commit", full)
    run.intake.run()
    assert [0, 1] == seqs()
    assert ["no space: waiting for room", "there is room again"] == run.said


def test_no_room_for_too_long_is_an_error(buffer, tmp_path, monkeypatch):
    from dunes.buffer.intake import run as module

    path = tmp_path / "a.jsonl"
    path.write_text(lines(0, 1))
    monkeypatch.setattr(module, "RETRY_S", 0.001)
    run = Run(buffer, path)

    def full(*_args, **_kwargs):
        msg = "no space"
        raise StorageFull(msg)

    monkeypatch.setattr(run.appender, "commit", full)
    with pytest.raises(StorageFull):
        run.intake.run()
    assert 0 == run.report.accepted


# -- following -----------------------------------------------------------------------


def test_a_growing_file_is_followed_and_taken_up_again(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0, 1))
    with Run(buffer, path, follow=True), path.open("a") as file:
        wait_for(lambda: seqs() == [0, 1])
        file.write(line(2)[:20])
        file.flush()
        threading.Event().wait(0.15)
        assert [0, 1] == seqs()
        file.write(line(2)[20:] + line(3)[:10])
        file.flush()
        wait_for(lambda: seqs() == [0, 1, 2])
    with path.open("a") as file:
        file.write(line(3)[10:] + "bad\n" + line(4))
    again = Run(buffer, path, follow=True)
    with again:
        wait_for(lambda: seqs() == [0, 1, 2, 3, 4])
    assert len(lines(0, 1, 2)) == again.report.resumed_at
    assert "line 5" == again.report.rejects[0].place


def test_a_file_that_does_not_exist_yet_is_awaited(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    with Run(buffer, path, follow=True):
        path.write_text(lines(0))
        wait_for(lambda: path.exists() and buffer.tables() and seqs() == [0])


def test_rotation_by_renaming_loses_nothing(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0))
    with Run(buffer, path, follow=True) as run:
        wait_for(lambda: buffer.tables() and seqs() == [0])
        for i in range(1, 4):
            with path.open("a") as file:
                file.write(line(10 * i))
            for old in (2, 1):
                if (tmp_path / f"a.jsonl.{old}").exists():
                    (tmp_path / f"a.jsonl.{old}").rename(tmp_path / f"a.jsonl.{old + 1}")
            path.rename(tmp_path / "a.jsonl.1")
            path.write_text(line(10 * i + 1))
        wait_for(lambda: seqs() == [0, 10, 11, 20, 21, 30, 31])
    assert any("was rotated" in note for note in run.said)


def test_rotations_while_nobody_looked_lose_nothing(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0, 1))
    with Run(buffer, path, follow=True):
        wait_for(lambda: buffer.tables() and seqs() == [0, 1])
    with path.open("a") as file:
        file.write(line(2))
    path.rename(tmp_path / "a.jsonl.2")
    (tmp_path / "a.jsonl.1").write_text(lines(3))
    (tmp_path / "a.jsonl.1.gz").write_text("not looked at")
    (tmp_path / "a.jsonl.bak").write_text(lines(99))
    path.write_text(lines(4))
    for i, name in enumerate(["a.jsonl.2", "a.jsonl.1", "a.jsonl"]):
        os.utime(tmp_path / name, ns=(10**18 + i, 10**18 + i))
    with Run(buffer, path, follow=True):
        wait_for(lambda: seqs() == [0, 1, 2, 3, 4])


def test_a_file_that_was_cut_and_written_anew_is_read_from_its_start(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0, 1, 2))
    with Run(buffer, path, follow=True) as run:
        wait_for(lambda: buffer.tables() and seqs() == [0, 1, 2])
        os.truncate(path, 0)
        wait_for(lambda: any("cut" in note for note in run.said))
        with path.open("a") as file:
            file.write(lines(3))
        wait_for(lambda: seqs() == [0, 1, 2, 3])
        # cut and regrown beyond the old end within one look
        with path.open("r+") as file:
            file.truncate(0)
            file.write(lines(4, 5))
        wait_for(lambda: seqs() == [0, 1, 2, 3, 4, 5])


def test_a_file_cut_while_nobody_looked_is_told(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0, 1, 2))
    with Run(buffer, path, follow=True):
        wait_for(lambda: buffer.tables() and seqs() == [0, 1, 2])
    with path.open("r+") as file:
        file.truncate(0)
        file.write(lines(*range(10, 20)))
    with Run(buffer, path, follow=True) as run:
        wait_for(lambda: seqs() == [0, 1, 2, *range(10, 20)])
    assert any("cut and written anew" in note for note in run.said)


def test_a_file_that_is_gone_is_told(buffer, tmp_path, seqs):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0))
    with Run(buffer, path, follow=True):
        wait_for(lambda: buffer.tables() and seqs() == [0])
    (tmp_path / "keeper").write_text("x")  # so that the inode is not used again at once
    new = tmp_path / "new"
    new.write_text(lines(5))
    new.rename(path)
    with Run(buffer, path, follow=True) as run:
        wait_for(lambda: seqs() == [0, 5])
    assert any("is gone" in note for note in run.said)


def test_a_csv_file_is_followed_with_its_header(buffer, tmp_path, seqs):
    path = tmp_path / "a.csv"
    path.write_text("device,kind,value,unit,ts_us,seq\nd-1,co2,600,ppm,5,0\n")
    with Run(buffer, path, follow=True, wanted=Format.CSV):
        wait_for(lambda: buffer.tables() and seqs() == [0])
    with path.open("a") as file:
        file.write("d-1,co2,601,ppm,6,1\n")
    with Run(buffer, path, follow=True):
        wait_for(lambda: seqs() == [0, 1])


def test_a_document_cannot_be_followed(buffer, tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{\n"readings":[')
    run = Run(buffer, path, follow=True)
    with pytest.raises(DataError, match="only JSON Lines and CSV grow"):
        run.intake.run()


def test_a_commit_that_fails_leaves_the_place_where_it_was(buffer, tmp_path, seqs, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text(lines(0, 1))
    with Run(buffer, path, follow=True):
        wait_for(lambda: buffer.tables() and seqs() == [0, 1])
    with path.open("a") as file:
        file.write(line(2, priority="alert") + line(3))
    run = Run(buffer, path, follow=True)
    monkeypatch.setattr(run.appender, "_settle", lambda _: 1 / 0)  # the process dies here
    with pytest.raises(ZeroDivisionError):
        run.intake.run()
    with Run(buffer, path, follow=True):
        threading.Event().wait(0.3)
    assert sorted(seqs()) == [0, 1, 2, 3]


def test_only_one_process_follows_a_file(tmp_path):
    paths = find_paths({"DUNES_HOME": str(tmp_path)})
    with follow_lock(paths, tmp_path / "a", TABLE):
        with follow_lock(paths, tmp_path / "b", TABLE):
            pass
        with pytest.raises(TryLater), follow_lock(paths, tmp_path / "a", TABLE):
            pass


def test_a_followed_file_says_idle_when_there_is_nothing(tmp_path):
    path = tmp_path / "a.jsonl"
    with Stop() as stop:
        source = FollowedFile(path, None, stop.wake)
        assert What.IDLE is source.read(0.0).what
        path.write_text("x\n")
        assert (What.DATA, b"x\n") == source.read(0.0)[:2]
        assert What.IDLE is source.read(0.0).what
        source.close()
