"""Bring a database to the schema of this program.

The revision is one value in one row; Alembic (some 350 ms) is imported only where
that value is not the newest.
"""

from sqlalchemy import Connection, Engine, inspect, text

from dunes.buffer.engine import BufferDamaged
from dunes.buffer.schema import REVISION
from dunes.errors import StorageError

VERSION_TABLE = "dunes_revision"
"""Not Alembic's default name: a PostgreSQL database may hold other programs' tables too."""
LOCK_KEY = 0x44554E4553
"""PostgreSQL advisory lock under which one process migrates; "DUNES" in ASCII."""


def stored_revision(connection: Connection) -> str | None:
    """Give a database's revision, None if it has no table of ours.

    Raises:
        BufferDamaged: it holds somebody else's tables.
    """
    names = set(inspect(connection).get_table_names())
    if VERSION_TABLE in names:
        found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
        return None if found is None else str(found)
    foreign = names if connection.dialect.name == "sqlite" else names & {"stream", "frame"}
    if foreign:
        raise BufferDamaged(
            f"the database holds tables of another program: {', '.join(sorted(foreign)[:5])}",
            hint="dunes config --show-origin tells where buffer.url comes from",
        )
    return None


def migrate(engine: Engine) -> bool:
    """Bring the database to this program's revision, if it is older or new.

    Returns:
        Whether anything was done.

    Raises:
        StorageError: a newer program made it.
    """
    with engine.begin() as connection:
        if stored_revision(connection) == REVISION:
            return False
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
            if stored_revision(connection) == REVISION:
                return False
        _upgrade(connection)
        return True


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "dunes.buffer:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, REVISION)
    except CommandError as e:
        raise StorageError(
            f"the database has revision {stored_revision(connection)}, made by a newer dunes; "
            f"this one knows up to {REVISION}",
            hint="pip install --upgrade dunes-mcp",
            code="newer-database",
        ) from e
