"""What is stored: the buffer's database, the engine that writes it, the keys."""

import os
import stat
from pathlib import Path

from dunes.doctor.check import Given, Result

PRIVATE = 0o077
"""Bits that a private file or folder does not have."""
PUBLIC = ".pub.maml"


def sqlite(given: Given) -> Result:
    """Say which SQLite writes the buffer, and whether it is free of the WAL-reset bug."""
    del given
    from dunes.buffer import dbapi
    from dunes.buffer.engine import SAFE_SQLITE, sqlite_is_safe

    version, safe = (".".join(map(str, v)) for v in (dbapi.sqlite_version_info, SAFE_SQLITE))
    if not sqlite_is_safe():
        return Result(
            "warn",
            f"SQLite {version} has the WAL-reset bug (mended in {safe}); writers take turns",
            "pip install --upgrade apsw",
        )
    return Result("ok", f"SQLite {version}")


def database(given: Given) -> Result:
    """Say whether the buffer's database is there, whole enough to open, and of our revision."""
    from dunes.buffer.engine import make_engine, parse_url, storage_error
    from dunes.buffer.migrate import stored_revision
    from dunes.buffer.schema import REVISION
    from dunes.buffer.store import buffer_url

    url = buffer_url(given.settings)
    parsed = parse_url(url)
    where = parsed.render_as_string(hide_password=True)
    if parsed.get_backend_name() == "sqlite":
        where = parsed.database or ""
        if not Path(where).exists():
            return Result("ok", f"none yet; made with the first reading ({where})")
    from sqlalchemy.exc import DBAPIError

    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            revision = stored_revision(connection)
    except DBAPIError as e:
        raise storage_error(e, where) from e
    finally:
        engine.dispose()
    if revision == REVISION:
        return Result("ok", f"revision {revision} ({where})")
    if revision is None or revision < REVISION:
        return Result("warn", f"revision {revision}; the next command brings it to {REVISION}")
    return Result(
        "fail",
        f"revision {revision} was made by a newer dunes; this one knows up to {REVISION}",
        "pip install --upgrade dunes-mcp",
    )


def keys(given: Given) -> Result:
    """Say whether anybody else could read the private keys, and whether ours opens."""
    from dunes.crypto.errors import NoIdentity, WrongPassphrase
    from dunes.crypto.identity import identity_path, load_identity

    folder = given.settings.paths.keys
    if not folder.exists():
        return Result("ok", f"none yet; made by mcp init or dunes keygen ({folder})")
    for path in (folder, *sorted(folder.rglob("*"))):
        if (wrong := _exposed(path)) is not None:
            return wrong
    try:
        identity = load_identity(given.settings.paths)
    except NoIdentity as e:
        if identity_path(given.settings.paths).exists():
            return Result("fail", e.message, e.hint or "")
        return Result("ok", f"private; no identity yet ({folder})")
    except WrongPassphrase as e:
        return Result("warn", e.message, e.hint or "")
    return Result("ok", f"identity {identity.kid} opens ({folder})")


def _exposed(path: Path) -> Result | None:
    """Say what is wrong with a file's or folder's mode; public keys may be read by all."""
    state = path.lstat()
    if state.st_uid != os.geteuid():
        return Result("fail", f"{path} belongs to user {state.st_uid}", f"ls -l {path.parent}")
    mode = stat.S_IMODE(state.st_mode)
    if path.name.endswith(PUBLIC) or stat.S_ISLNK(state.st_mode) or not mode & PRIVATE:
        return None
    right = "700" if path.is_dir() else "600"
    return Result("fail", f"{path} is open to others ({mode:04o})", f"chmod {right} {path}")
