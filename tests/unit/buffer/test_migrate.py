"""Migrations: the migrated schema is the metadata, and it costs nothing when there."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

import dunes.gateway.tables
import dunes.uplink.tables  # noqa: F401 - both add their tables to the metadata
from dunes.buffer.migrate import VERSION_TABLE, migrate
from dunes.buffer.schema import REVISION, metadata
from dunes.buffer.store import Buffer
from dunes.errors import StorageError


def test_the_migrated_schema_is_the_metadata(buffer):
    with buffer.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert [] == compare_metadata(context, metadata)


def test_the_newest_revision_is_the_one_that_the_program_compares():
    config = Config()
    config.set_main_option("script_location", "dunes.buffer:migrations")
    config.set_main_option("path_separator", "os")
    assert [REVISION] == ScriptDirectory.from_config(config).get_heads()


def test_a_second_run_does_nothing(buffer):
    assert not migrate(buffer.engine)


def test_a_newer_database_is_refused_with_advice(open_at):
    first = open_at()
    with first.writing() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num='9999'"))
    with pytest.raises(StorageError, match="9999") as caught:
        open_at()
    assert "newer-database" == caught.value.code
    assert "upgrade" in caught.value.hint


def test_opening_an_up_to_date_database_does_not_import_alembic(tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}"
    Buffer.open(url).close()
    code = f"import sys; from dunes.buffer.store import Buffer; Buffer.open({url!r}).close()"
    code += "; print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False\n" == done.stdout
