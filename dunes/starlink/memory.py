"""Keep the monitor's state between runs, so that cron-style use has its hysteresis.

One small JSON file, replaced as a whole: there is one link, one writer at a time
matters little (each state heals itself within 15 s of samples), and nothing is ever
asked of it but "where was I". A database would add a schema and its migrations.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from dunes.errors import StorageError
from dunes.paths import Paths, write_atomic
from dunes.starlink.monitor import Monitor

FILE = "starlink-link.json"
SIMULATED_FILE = "starlink-link-simulated.json"
"""A rehearsal must not colour what is said of the real link afterwards."""


@dataclass(frozen=True, slots=True)
class LinkMemory:
    """Where the state lies."""

    path: Path

    @classmethod
    def at(cls, paths: Paths, *, simulated: bool) -> "LinkMemory":
        """Give the one of this installation, for the real link or the simulated one."""
        return cls(paths.state / (SIMULATED_FILE if simulated else FILE))

    def load(self, now_s: float, unix_s: float) -> Monitor:
        """Go on from the saved state; a missing, damaged or old one starts anew."""
        try:
            kept = json.loads(self.path.read_bytes())
            slept_s = unix_s - float(kept["saved_unix_s"])
            return Monitor.restore(kept["monitor"], now_s, slept_s)
        except (OSError, ValueError, KeyError, TypeError):
            return Monitor()

    def save(self, monitor: Monitor, now_s: float, unix_s: float) -> None:
        """Write the state down.

        Raises:
            StorageError: the state directory cannot be written.
        """
        kept = {"saved_unix_s": unix_s, "monitor": monitor.save(now_s)}
        try:
            write_atomic(self.path, (json.dumps(kept, indent=1) + "\n").encode())
        except OSError as e:
            raise StorageError(
                f"{self.path} cannot be written: {e.strerror}; the next run starts anew",
                hint=f"ls -ld {self.path.parent}",
            ) from e
