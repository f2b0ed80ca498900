"""Where files live.

`DUNES_HOME` holds all, if set. Else systemd's `STATE_DIRECTORY` and its kin;
else for root the places of the file hierarchy standard; else the XDG base
directories. (No platformdirs: it costs 18 ms of every start.)
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SYSTEM_CONFIG = Path("/etc/dunes")


@dataclass(frozen=True, slots=True)
class Paths:
    """The directories of one installation; none is made before it is written to.

    Attributes:
        config: hand-written `config.toml` and the machine-written `profile.json`.
        data: the buffer's database, received data.
        keys: secrets and private keys, mode 0700.
        state: logs, the link monitor's memory, the simulated site.
        runtime: locks and sockets; gone after a reboot where the system has such a place.
    """

    config: Path
    data: Path
    keys: Path
    state: Path
    runtime: Path

    def ready(self, directory: Path) -> Path:
        """Make one of the directories (0700) if it is not there, and give it back."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory


def find_paths(environ: Mapping[str, str] | None = None, uid: int | None = None) -> Paths:
    """Say where this process keeps its files.

    Args:
        environ: the environment; default: this process's.
        uid: the effective user; default: this process's.
    """
    env = os.environ if environ is None else environ
    root = (os.geteuid() if uid is None else uid) == 0
    if home := env.get("DUNES_HOME"):
        base = Path(home).expanduser().absolute()
        return Paths(base, base / "data", base / "keys", base / "state", base / "run")
    if state := env.get("STATE_DIRECTORY"):
        base = Path(state.split(":")[0])
        config = Path(env.get("CONFIGURATION_DIRECTORY", str(SYSTEM_CONFIG)).split(":")[0])
        runtime = env.get("RUNTIME_DIRECTORY")
        return Paths(
            config,
            base / "data",
            base / "keys",
            base / "state",
            Path(runtime.split(":")[0]) if runtime else base / "run",
        )
    if root:
        base = Path("/var/lib/dunes")
        return Paths(
            SYSTEM_CONFIG, base / "data", base / "keys", base / "state", Path("/run/dunes")
        )
    user = Path(env.get("HOME") or "~").expanduser()
    data = Path(env.get("XDG_DATA_HOME") or user / ".local/share") / "dunes"
    runtime_base = env.get("XDG_RUNTIME_DIR")
    return Paths(
        Path(env.get("XDG_CONFIG_HOME") or user / ".config") / "dunes",
        data,
        data / "keys",
        Path(env.get("XDG_STATE_HOME") or user / ".local/state") / "dunes",
        Path(runtime_base) / "dunes" if runtime_base else data / "run",
    )


def write_atomic(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` as a whole: temporary file, fsync, rename, fsync of the directory.

    Whoever reads `path`, at any moment and after any crash, finds the old or the
    new content, never a mixture. The file has `mode` from the start.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
