"""Where a passphrase comes from when nobody types it. Never from the command line."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from dunes.crypto.errors import KeyRefused, WrongPassphrase
from dunes.errors import NotFound, UsageError

MAX_BYTES = 1024
SHORT_CHARACTERS = 12
ENV = "DUNES_PASSPHRASE"
ENV_FILE = "DUNES_PASSPHRASE_FILE"
CREDENTIAL = "dunes-passphrase"
"""Name of the systemd credential: LoadCredential=dunes-passphrase:/path."""


def from_file(path: Path) -> bytes:
    """Read a passphrase from the first line of a file.

    Raises:
        KeyRefused: others can read the file.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise KeyRefused(
                    f"{path} has mode {stat.S_IMODE(mode):04o}; others can read the passphrase",
                    hint=f"chmod 600 {path}",
                )
            return clean(file.read(MAX_BYTES + 2))
    except OSError as e:
        raise NotFound(f"the passphrase file {path} cannot be read: {e.strerror}") from e


def from_descriptor(number: int) -> bytes:
    """Read a passphrase from the first line of an open file descriptor."""
    try:
        with os.fdopen(number, "rb", closefd=False) as file:
            return clean(file.read(MAX_BYTES + 2))
    except OSError as e:
        raise UsageError(
            f"file descriptor {number} cannot be read: {e.strerror}",
            hint="dunes keygen --passphrase-fd 3 3< FILE",
        ) from e


def from_environment(environ: Mapping[str, str] | None = None) -> bytes | None:
    """Look for DUNES_PASSPHRASE_FILE, a systemd credential, then DUNES_PASSPHRASE."""
    env = os.environ if environ is None else environ
    if path := env.get(ENV_FILE):
        return from_file(Path(path))
    if folder := env.get("CREDENTIALS_DIRECTORY"):
        credential = Path(folder) / CREDENTIAL
        if credential.exists():
            return clean(credential.read_bytes()[: MAX_BYTES + 2])
    if text := env.get(ENV):
        return clean(text.encode("utf-8", "surrogateescape"))
    return None


def clean(raw: bytes) -> bytes:
    """Take the first line.

    Raises:
        WrongPassphrase: empty, or over 1024 bytes.
    """
    line = raw.split(b"\n", 1)[0].removesuffix(b"\r")
    if not line:
        raise WrongPassphrase("the passphrase is empty")
    if len(line) > MAX_BYTES:
        raise WrongPassphrase(f"the passphrase is over {MAX_BYTES} bytes")
    return line
