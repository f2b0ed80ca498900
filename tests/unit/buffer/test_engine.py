"""The engine: durable pragmas, honest transactions, errors in our words."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from dunes.buffer import dbapi, engine, schema
from dunes.buffer.engine import FileLock, make_engine
from dunes.buffer.store import Buffer
from dunes.errors import ConfigError, Denied, StorageError

STREAM = {"gateway": "gw-1", "table_name": "t", "epoch": bytes(16), "created_us": 1}


def pragma(buffer, name):
    with buffer.reading() as connection:
        return connection.execute(text(f"PRAGMA {name}")).scalar()


def test_a_commit_is_synced(buffer):
    assert 2 == pragma(buffer, "synchronous")  # FULL
    assert "wal" == pragma(buffer, "journal_mode")
    assert 0 == pragma(buffer, "mmap_size")
    assert 4096 == pragma(buffer, "page_size")


def test_the_sqlite_in_use_is_past_the_wal_reset_bug():
    assert engine.sqlite_is_safe()


def test_a_new_database_is_private(buffer):
    assert 0o600 == buffer.path.stat().st_mode & 0o777


def test_an_empty_select_gives_no_rows_and_no_error(buffer):
    with buffer.reading() as connection:
        assert [] == connection.execute(select(schema.frame)).fetchall()
        assert None is connection.exec_driver_sql("SELECT 1 WHERE 0").first()


def test_a_failed_transaction_changes_nothing_not_even_tables(buffer):
    def fail():
        with buffer.writing() as connection:
            connection.execute(insert(schema.stream).values(**STREAM))
            connection.execute(text("CREATE TABLE extra(x)"))
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [] == buffer.streams()
    with buffer.reading() as connection:
        names = connection.execute(text("SELECT name FROM sqlite_master")).scalars().all()
    assert "extra" not in names


def test_a_writer_holds_the_right_to_write_from_the_start(open_at, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.05)
    first, second = open_at(), open_at()
    with first.writing() as connection:
        connection.execute(select(schema.stream))  # reads only, so far
        with pytest.raises(StorageError) as caught, second.writing():
            pass
    assert "storage-busy" == caught.value.code
    with second.writing() as connection:
        connection.execute(insert(schema.stream).values(**STREAM))


def test_a_reader_sees_one_state_while_others_write(open_at):
    reader, writer = open_at(), open_at()
    with reader.reading() as connection:
        assert [] == connection.execute(select(schema.stream)).all()
        with writer.writing() as other:
            other.execute(insert(schema.stream).values(**STREAM))
        assert [] == connection.execute(select(schema.stream)).all()
    assert 1 == len(reader.streams())


def test_constraints_types_and_row_counts_are_reported(buffer):
    with buffer.writing() as connection:
        first = connection.execute(insert(schema.stream).values(**STREAM))
        assert (1, 1) == (first.rowcount, first.inserted_primary_key[0])
    with pytest.raises(StorageError), buffer.writing() as connection:
        connection.execute(insert(schema.stream).values(**STREAM))
    with buffer.engine.connect() as connection:
        with pytest.raises(IntegrityError):
            connection.execute(insert(schema.stream).values(**STREAM))
        connection.rollback()
        with pytest.raises(Exception, match="object"):
            connection.exec_driver_sql("SELECT ?", (object(),))


def test_a_foreign_key_must_exist(buffer):
    key = {"stream_id": 77, "key_id": bytes(8), "created_us": 0, "record": b""}
    with pytest.raises(StorageError), buffer.writing() as connection:
        connection.execute(insert(schema.key_record).values(**key))


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "x.db").write_bytes(b"this is a letter to my grandmother" * 200)
    with pytest.raises(engine.BufferDamaged, match="not a buffer database"):
        Buffer.open(f"sqlite:///{tmp_path / 'x.db'}")


def test_somebody_elses_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE customer(name)")
    connection.close()
    with pytest.raises(engine.BufferDamaged, match="another program: customer"):
        Buffer.open(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    assert [("customer",)] == connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises((StorageError, Denied), match="cannot be opened"):
        Buffer.open(f"sqlite:///{tmp_path / 'no' / 'x.db'}")


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "mysql://h/x"])
def test_an_unusable_url_is_a_configuration_error(url):
    with pytest.raises(ConfigError):
        make_engine(url)


def test_a_password_is_never_shown():
    shown = repr(engine.parse_url("postgresql://dunes:hunter2@host/x"))
    assert "hunter2" not in shown


def test_an_older_sqlite_is_written_under_a_lock(tmp_path, monkeypatch):
    taken = []

    class Recording(FileLock):
        def acquire(self) -> None:
            super().acquire()
            taken.append("acquire")

        def release(self) -> None:
            taken.extend(["release"] * self._held)
            super().release()

    monkeypatch.setattr(dbapi, "sqlite_version_info", (3, 40, 1))
    monkeypatch.setattr(engine, "FileLock", Recording)
    with Buffer.open(f"sqlite:///{tmp_path / 'x.db'}", "gw-1") as buffer:
        taken.clear()
        with buffer.writing() as connection:
            assert ["acquire"] == taken
            connection.execute(insert(schema.stream).values(**STREAM))
        assert ["acquire", "release"] == taken
        with pytest.raises(ZeroDivisionError), buffer.writing():
            _ = 1 / 0
        assert ["acquire", "release"] * 2 == taken
        with buffer.reading() as connection:
            connection.execute(select(schema.stream)).all()
        assert ["acquire", "release"] * 2 == taken
    assert ["acquire", "release"] * 3 == taken  # the last close checkpoints
    assert Path(tmp_path / "x.db.lock").exists()
