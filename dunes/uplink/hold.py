"""An outage for rehearsals: until when, and why, the uplink is to behave as if cut.

`dunes simulate-disconnect` sets it on a real gateway; `mcp sync` obeys it. It ends by
itself, whatever becomes of whoever set it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from dunes.errors import StorageError
from dunes.paths import Paths, write_atomic

FILE = "uplink-hold.json"
LONGEST_US = 7 * 86_400 * 1_000_000
"""A week; what says more is taken for damage."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A rehearsed outage.

    Attributes:
        since_us: when it was set.
        until_us: when it ends.
        reason: for people.
    """

    since_us: int
    until_us: int
    reason: str


def hold_path(paths: Paths) -> Path:
    """Say where the hold is written down."""
    return paths.state / FILE


def set_hold(paths: Paths, now_us: int, until_us: int, reason: str) -> Hold:
    """Hold the uplink until a moment, at most for a week."""
    hold = Hold(now_us, min(until_us, now_us + LONGEST_US), reason)
    paths.ready(paths.state)
    write_atomic(hold_path(paths), json.dumps(asdict(hold)).encode())
    return hold


def clear_hold(paths: Paths) -> bool:
    """Let the uplink work again; give whether it was held."""
    try:
        hold_path(paths).unlink()
    except FileNotFoundError:
        return False
    return True


def held(paths: Paths, now_us: int) -> Hold | None:
    """Give the hold that is in force.

    A clock that was set back does not lengthen it: before its beginning it is not in
    force either.

    Raises:
        StorageError: the file cannot be read.
    """
    path = hold_path(paths)
    try:
        hold = Hold(**json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as e:
        raise StorageError(f"{path}: {e}", hint=f"rm {path}") from e
    if not hold.since_us <= now_us < hold.until_us:
        return None
    return hold
