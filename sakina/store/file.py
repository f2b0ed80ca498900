"""A file for each profile, sealed with AES-256-GCM.

`<keys>/sakina/PROFILE.token`, 0600 in a 0700 directory::

    SAKINA-TOKEN/1 LF
    {"lock": "passphrase", "n": 131072, "profile": "default", "salt": "…"} LF
    nonce (12 bytes)  ciphertext  tag (16 bytes)

Everything before the nonce is associated data. The key is scrypt of the secret, with a
fresh salt and nonce for each write. The secret is a passphrase (file, systemd credential
or environment: `dunes.crypto.passphrase`), else this machine's own (`dunes.crypto.machine`).

What the machine's secret protects from: a token file copied alone. Whoever can read the
whole keys directory, and this machine's id, has the token; only a passphrase kept
elsewhere stops that one.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from dunes.crypto import keyio, machine, passphrase
from dunes.crypto.errors import WrongPassphrase
from dunes.crypto.pkcs8 import MACHINE_COST, PASSPHRASE_COST
from dunes.errors import ConfigError, DataError, DunesError, NotFound, StorageError
from dunes.model import check_name
from dunes.paths import Paths, sync_directory, write_atomic
from sakina.grant import Grant, decode_grant, encode_grant
from sakina.oauth.errors import StoreUnusable

MAGIC = b"SAKINA-TOKEN/1\n"
SUFFIX = ".token"
SALT_BYTES, NONCE_BYTES, KEY_BYTES = 16, 12, 32
HEADER_MAX = 512
COSTS = {"passphrase": PASSPHRASE_COST.n, "machine": MACHINE_COST.n}
TRIAL = ".trial"


class FileStore:
    """Logins in files.

    Args:
        paths: of this installation.
        environ: where a passphrase may come from.
        in_clear: write without encryption (`--insecure-storage`).
    """

    name = "file"

    def __init__(
        self, paths: Paths, environ: Mapping[str, str] | None = None, *, in_clear: bool = False
    ) -> None:
        self._paths = paths
        self.folder = paths.keys / "sakina"
        self._environ = environ
        self._in_clear = in_clear

    # ---------------------------------------------------------------- the store's verbs

    def probe(self) -> None:
        """Write, read and delete a trial file with the key that a login would get."""
        trial = os.urandom(16)
        path = self.folder / TRIAL
        try:
            self._write(path, TRIAL, trial)
            found = self._read(path, TRIAL)
            path.unlink()
        except OSError as e:
            raise StoreUnusable(
                f"the token store {self.folder} cannot be used: {e.strerror}",
                hint="--token-store keyring|none, or DUNES_HOME on a disk that can be written",
            ) from e
        except StorageError as e:
            raise StoreUnusable(e.message, hint=e.hint) from e
        if found != trial:
            raise StoreUnusable(f"{self.folder} gives back other bytes than were written")

    def save(self, grant: Grant) -> None:
        """Keep a login: temporary file, fsync, rename."""
        try:
            self._write(self._path(grant.profile), grant.profile, encode_grant(grant))
        except OSError as e:
            raise StorageError(f"cannot write in {self.folder}: {e.strerror}") from e

    def load(self, profile: str) -> Grant | None:
        """Open a profile's file."""
        path = self._path(profile)
        try:
            raw = self._read(path, profile)
        except NotFound:
            return None
        return decode_grant(raw, str(path))

    def delete(self, profile: str) -> bool:
        """Remove a profile's file."""
        try:
            self._path(profile).unlink()
        except FileNotFoundError:
            return False
        except OSError as e:
            raise StorageError(f"cannot remove {self._path(profile)}: {e.strerror}") from e
        sync_directory(self.folder)
        return True

    def profiles(self) -> list[str]:
        """Name the profiles that have a file."""
        try:
            return sorted(p.name.removesuffix(SUFFIX) for p in self.folder.glob(f"[!.]*{SUFFIX}"))
        except OSError:
            return []

    def lock_of(self, profile: str) -> str:
        """Say what a profile's file is locked with: `passphrase`, `machine` or `none`."""
        header, _, _ = _split(keyio.read_private(self._path(profile)), self._path(profile))
        return str(header["lock"])

    # ---------------------------------------------------------------- the file

    def _path(self, profile: str) -> Path:
        return self.folder / f"{check_name(profile, 'profile')}{SUFFIX}"

    def _write(self, path: Path, profile: str, content: bytes) -> None:
        self._paths.ready(self._paths.keys)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)
        header: dict[str, Any] = {"lock": "none", "profile": profile}
        key = b""
        if not self._in_clear:
            lock, secret = self._secret()
            salt = os.urandom(SALT_BYTES)
            header |= {"lock": lock, "n": COSTS[lock], "salt": salt.hex()}
            key = _derive(secret, salt, COSTS[lock])
        start = MAGIC + json.dumps(header, sort_keys=True).encode() + b"\n"
        if key:
            nonce = os.urandom(NONCE_BYTES)
            content = nonce + AESGCM(key).encrypt(nonce, content, start)
        write_atomic(path, start + content)

    def _secret(self) -> tuple[str, bytes]:
        given = passphrase.from_environment(self._environ)
        if given is not None:
            return "passphrase", given
        return "machine", machine.machine_secret(self._paths.keys, create=True)

    def _read(self, path: Path, profile: str) -> bytes:
        header, start, body = _split(keyio.read_private(path), path)
        if header.get("profile") != profile:
            raise DataError(f"{path} holds the login of another profile", code="bad-grant")
        if header["lock"] == "none":
            return body
        secret = self._secret_for(header["lock"], path)
        key = _derive(secret, bytes.fromhex(header["salt"]), COSTS[header["lock"]])
        try:
            return AESGCM(key).decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], start)
        except (InvalidTag, ValueError):
            reason = (
                "the passphrase is not the one it was made with"
                if header["lock"] == "passphrase"
                else "it is of another machine, or was changed"
            )
            raise WrongPassphrase(
                f"{path} cannot be opened: {reason}",
                hint="sakina auth logout --local, then log in",
            ) from None

    def _secret_for(self, lock: str, path: Path) -> bytes:
        if lock == "machine":
            try:
                return machine.machine_secret(self._paths.keys)
            except DunesError as e:
                raise ConfigError(
                    f"{path} was made with a machine key that is not here",
                    hint="sakina auth logout --local, then log in",
                ) from e
        given = passphrase.from_environment(self._environ)
        if given is None:
            raise ConfigError(
                f"{path} is locked with a passphrase, and none is given",
                hint="DUNES_PASSPHRASE_FILE, or the systemd credential dunes-passphrase",
                code="no-passphrase",
            )
        return given


def _derive(secret: bytes, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=cost, r=8, p=1).derive(secret)


def _split(raw: bytes, path: Path) -> tuple[dict[str, Any], bytes, bytes]:
    """Take a file apart: header, everything up to it, the rest.

    Raises:
        DataError: it is no token file.
    """
    end = raw.find(b"\n", len(MAGIC), len(MAGIC) + HEADER_MAX)
    header: Any = None
    if raw.startswith(MAGIC) and end > 0:
        try:
            header = json.loads(raw[len(MAGIC) : end])
        except ValueError:
            header = None
    lock = header.get("lock") if isinstance(header, dict) else None
    good = lock == "none" or (
        lock in COSTS
        and header.get("n") == COSTS[lock]
        and isinstance(header.get("salt"), str)
        and len(header["salt"]) == 2 * SALT_BYTES
        and all(c in "0123456789abcdef" for c in header["salt"])
    )
    if not good:
        raise DataError(
            f"{path} is no token file that can be read",
            hint="sakina auth logout --local, then log in",
            code="bad-grant",
        )
    return header, raw[: end + 1], raw[end + 1 :]
