"""The machine-bound secret of an unattended gateway.

What it is: 32 random bytes in `machine.key` (0600, in the keys directory), joined
with `/etc/machine-id`. It opens private keys where nobody can type a passphrase.

What it protects from: a key document copied alone, or restored on another machine.
What it does not: whoever can read both files (root, or the owner of a stolen disk)
has the key. Only a passphrase, or hardware, stops that one.
"""

import contextlib
import os
import re
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dunes.crypto import keyio
from dunes.crypto.errors import BadKeyFile, KeyExists, NoIdentity
from dunes.errors import NotFound

SECRET_BYTES = 32
FILE_NAME = "machine.key"
MACHINE_ID = Path("/etc/machine-id")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_INFO = b"dunes/2048-aes/v1/machine\x00"


def machine_id(path: Path = MACHINE_ID) -> str:
    """Read this machine's id; empty where there is none (many containers)."""
    try:
        text = path.read_text(encoding="ascii", errors="replace").strip().lower()
    except OSError:
        return ""
    return text if _MACHINE_ID.fullmatch(text) else ""


def machine_secret(keys: Path, *, create: bool = False, id_path: Path = MACHINE_ID) -> bytes:
    """Derive the 32-byte secret that opens this machine's unattended keys.

    Args:
        keys: the keys directory.
        create: make `machine.key` if it is not there.
        id_path: where the machine's id is.

    Raises:
        NoIdentity: there is no `machine.key` and `create` is off.
    """
    path = keys / FILE_NAME
    if create:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(KeyExists):  # another process was first, or it was always there
            keyio.write_new(path, os.urandom(SECRET_BYTES).hex().encode() + b"\n")
    try:
        text = keyio.read_private(path)
    except NotFound as e:
        raise NoIdentity(
            f"no {path}: the machine-bound keys made with it cannot be opened",
            hint="restore it from a backup, or make new keys with: dunes keygen",
        ) from e
    try:
        secret = bytes.fromhex(text.decode("ascii").strip())
    except ValueError as e:
        raise BadKeyFile(f"{path} is not 64 hex digits") from e
    if len(secret) != SECRET_BYTES:
        raise BadKeyFile(f"{path} is not 64 hex digits")
    salt = machine_id(id_path).encode("ascii")
    return HKDF(hashes.SHA256(), SECRET_BYTES, salt=salt, info=_INFO).derive(secret)
