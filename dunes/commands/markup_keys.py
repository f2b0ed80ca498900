"""Which keys the receipt commands believe, and with which key they sign."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dunes.console import Screen
from dunes.errors import DataError, NotFound, StorageError

if TYPE_CHECKING:
    from dunes.crypto.identity import Identity
    from dunes.crypto.signing import VerifyKey
    from dunes.settings import Settings

STDIN = "-"
FILE_MAX_BYTES = 128 * 1024 * 1024
"""More than any receipt (64 MiB of source and its frame); what is more is not read."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Public keys by key id, and whose they are.

    Attributes:
        keys: all that are believed here.
        names: for people: `this gateway`, `trusted: earth-gs`, a file's name.
    """

    keys: "dict[str, VerifyKey]"
    names: dict[str, str]

    def find(self, kid: str) -> "VerifyKey | None":
        """Give a key; None if it is not believed here."""
        return self.keys.get(kid)

    def called(self, kid: str) -> str:
        """Name a key id for people."""
        name = self.names.get(kid)
        return f"{kid} ({name})" if name else kid


def load_keyring(settings: "Settings", files: list[Path]) -> Keyring:
    """Gather the keys that are believed here: our own, the trust store's, and given ones.

    Args:
        settings: tells where the keys are.
        files: PEM public keys or public key documents, believed for this run.

    Raises:
        NotFound: no such file.
        BadKeyFile: not a public ML-DSA-65 key.
    """
    from dunes.clock import SYSTEM_CLOCK
    from dunes.crypto.truststore import TrustStore

    keyring = Keyring({}, {})
    for path in sorted((settings.paths.keys / "public").glob("*.pub.maml")):
        _add(keyring, read_public_key(path), "this gateway")
    for entry in TrustStore.at(settings.paths):
        if entry.believed(SYSTEM_CLOCK.unix_us()):
            _add(keyring, entry.key, f"trusted: {entry.document.name}")
    for path in files:
        _add(keyring, read_public_key(path), path.name)
    return keyring


def _add(keyring: Keyring, key: "VerifyKey", name: str) -> None:
    keyring.keys.setdefault(key.kid, key)
    keyring.names.setdefault(key.kid, name)


def read_public_key(path: Path) -> "VerifyKey":
    """Read a public key: a PEM file, or a public key document.

    Raises:
        NotFound: no such file.
        BadKeyFile: neither.
    """
    from dunes.crypto.keyfile import read_key_document
    from dunes.crypto.signing import VerifyKey

    data = read_file(path)
    if data.lstrip().startswith(b"-----BEGIN"):
        return VerifyKey.from_spki(data)
    return read_key_document(data).verify_key


def signing_identity(screen: Screen, settings: "Settings") -> "Identity":
    """Give the gateway's identity, made if there is none, and say so.

    Raises:
        WrongPassphrase: it is locked.
    """
    from dunes.crypto.identity import ensure_identity, identity_path

    is_new = not identity_path(settings.paths).exists()
    identity = ensure_identity(settings.paths, settings["gateway.id"] or "gateway")
    if is_new:
        screen.note(f"made an identity key for this gateway: {identity.kid}")
    return identity


def read_file(path: Path) -> bytes:
    """Read a whole file, `-` for stdin.

    Raises:
        NotFound: no such file.
        DataError: a folder, or more than 128 MiB.
        StorageError: it cannot be read.
    """
    import sys

    try:
        if str(path) == STDIN:
            data = sys.stdin.buffer.read(FILE_MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(FILE_MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as e:
        raise NotFound(f"no file {path}", code="no-file") from e
    except IsADirectoryError as e:
        raise DataError(f"{path} is a folder") from e
    except OSError as e:
        raise StorageError(f"cannot read {path}: {e.strerror}") from e
    if len(data) > FILE_MAX_BYTES:
        raise DataError(f"{path} has more than {FILE_MAX_BYTES} bytes", code="too-large")
    return data


def write_file(path: Path, content: bytes) -> None:
    """Write a whole file, `-` for stdout; a new one with mode 0644, an old one keeps its own.

    Raises:
        NotFound: no such folder.
        StorageError: it cannot be written.
    """
    import stat
    import sys

    from dunes.paths import write_atomic

    if str(path) == STDIN:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    if not path.parent.is_dir():
        raise NotFound(f"no folder {path.parent}", hint=f"mkdir -p {path.parent}", code="no-file")
    try:
        real = path.resolve() if path.is_symlink() else path
        mode = stat.S_IMODE(real.stat().st_mode) if real.exists() else 0o644
        write_atomic(real, content, mode=mode)
    except OSError as e:
        raise StorageError(f"cannot write {path}: {e.strerror}") from e
