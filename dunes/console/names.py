"""Names that TAB offers: tables, buffers, destinations. Fast, read-only, never an error.

The standard library's sqlite3 reads the gateway's own database directly, as SQLAlchemy
alone would cost five times the patience of a person who pressed TAB.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from dunes.errors import DunesError
from dunes.model import buffer_name
from dunes.settings import Settings
from dunes.site import running_site

BUSY_S = 0.05
SQLITE = "sqlite:///"
MANIFESTS = "*-v*/*/manifest.json"


def database_path(settings: Settings) -> str:
    """Say where the buffer's SQLite file is; empty where the buffer is no SQLite file."""
    url: str = settings["buffer.url"]
    if not url:
        return str(settings.paths.data / "buffer.db")
    return url.partition("?")[0].removeprefix(SQLITE) if url.startswith(SQLITE) else ""


def _rows(settings: Settings, query: str) -> list[str]:
    path = database_path(settings)
    if not path:
        return []
    connection = None
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=BUSY_S)
        return [str(row[0]) for row in connection.execute(query)]
    except sqlite3.Error:
        return []  # no buffer yet, or one that is busy or damaged: TAB offers nothing
    finally:
        if connection is not None:
            connection.close()


def tables(settings: Settings) -> list[str]:
    """Name the tables of the buffer."""
    return _rows(settings, "SELECT DISTINCT table_name FROM stream ORDER BY table_name")


def buffers(settings: Settings) -> list[str]:
    """Name the tables as the guide names buffers."""
    return [buffer_name(table) for table in tables(settings)]


def destinations(settings: Settings) -> list[str]:
    """Name the ground stations of the profile and of a running simulated site."""
    names = set(settings["uplink.destinations"])
    try:
        site = running_site(settings.paths)
    except DunesError:
        site = None
    return sorted(names | set(site.destinations if site is not None else ()))


def firmware(settings: Settings) -> list[str]:
    """Name the firmware of this place's catalogue and of a running simulated site."""
    folders = [settings.paths.data / "firmware"]
    try:
        site = running_site(settings.paths)
    except DunesError:
        site = None
    if site is not None and site.firmware:
        folders.append(Path(site.firmware))
    return sorted({path.parents[1].name for folder in folders for path in folder.glob(MANIFESTS)})


KINDS: dict[str, Callable[[Settings], list[str]]] = {
    "tables": tables,
    "buffers": buffers,
    "destinations": destinations,
    "firmware": firmware,
}
