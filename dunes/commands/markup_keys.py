"""Which keys the receipt commands believe, and with which key they sign."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dunes.console import Screen
from dunes.errors import DataError, NotFound, StorageError

if TYPE_CHECKING:
    from dunes.crypto.identity import Identity
    from dunes.crypto.signing import VerifyKey
    from dunes.mu.verdict import LogEvidence
    from dunes.settings import Settings

STDIN = "-"
FILE_MAX_BYTES = 128 * 1024 * 1024
"""More than any receipt (64 MiB of source and its frame); what is more is not read."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Public keys by key id, what each is believed for, and whose they are.

    Attributes:
        keys: all that are believed here for anything below.
        signers: key ids that may sign receipts and their log: gateways, operators.
        cosigners: key ids that may countersign a log: ground stations.
        names: for people: `this gateway`, `trusted: earth-gs`, a file's name.
    """

    keys: "dict[str, VerifyKey]" = field(default_factory=dict)
    signers: set[str] = field(default_factory=set)
    cosigners: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)

    def find(self, kid: str) -> "VerifyKey | None":
        """Give a key that may sign or countersign; None if it is not believed here."""
        return self.keys.get(kid)

    def find_signer(self, kid: str) -> "VerifyKey | None":
        """Give a key that may sign receipts."""
        return self.keys[kid] if kid in self.signers else None

    def find_cosigner(self, kid: str) -> "VerifyKey | None":
        """Give a key that may countersign the log."""
        return self.keys[kid] if kid in self.cosigners else None

    def evidence(self, found: "LogEvidence | None") -> "LogEvidence | None":
        """Leave of a log's evidence the countersignatures by keys that may give one."""
        if found is None:
            return None
        return replace(found, cosigners=tuple(k for k in found.cosigners if k in self.cosigners))

    def called(self, kid: str) -> str:
        """Name a key id for people."""
        name = self.names.get(kid)
        return f"{kid} ({name})" if name else kid

    def add(
        self, key: "VerifyKey", name: str, *, signs: bool = True, cosigns: bool = True
    ) -> None:
        """Believe a key."""
        self.keys.setdefault(key.kid, key)
        self.names.setdefault(key.kid, name)
        self.signers.update({key.kid} if signs else ())
        self.cosigners.update({key.kid} if cosigns else ())


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
    from dunes.crypto.identity import public_documents
    from dunes.crypto.truststore import Role, TrustStore
    from dunes.uplink.target import STATIONS

    keyring, now_us = Keyring(), SYSTEM_CLOCK.unix_us()
    for document in public_documents(settings.paths):
        keyring.add(document.verify_key, "this gateway")
    for entry in TrustStore.at(settings.paths).peers():
        signs = bool(entry.roles & {Role.GATEWAY, Role.OPERATOR})
        cosigns = Role.GROUND_STATION in entry.roles
        if entry.believed(now_us) and (signs or cosigns):
            name = f"trusted: {entry.document.name}"
            keyring.add(entry.key, name, signs=signs, cosigns=cosigns)
    for path in sorted((settings.paths.config / STATIONS).glob("*.pub.pem")):
        name = f"pinned: {path.name.removesuffix('.pub.pem')}"
        keyring.add(read_public_key(path), name, signs=False)
    for path in files:
        keyring.add(read_public_key(path), path.name)
    return keyring


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


def mode_like(path: Path | None) -> int:
    """Give the mode for what holds the content of a file: who may not read one, may not either.

    What comes from stdin or a table (None) is for its owner alone.
    """
    if path is None or str(path) == STDIN:
        return 0o600
    return path.stat().st_mode & 0o666 | 0o600


def write_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a whole file, `-` for stdout.

    Args:
        path: where to.
        content: all of it.
        mode: of a new file; one that is there keeps its own.

    Raises:
        NotFound: no such folder.
        UsageError: a device or folder is there.
        StorageError: it cannot be written.
    """
    import stat
    import sys

    from dunes.crypto import keyio
    from dunes.paths import write_atomic

    if str(path) == STDIN:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    if not path.parent.is_dir():
        raise NotFound(f"no folder {path.parent}", hint=f"mkdir -p {path.parent}", code="no-file")
    try:
        real = path.resolve() if path.is_symlink() else path
        keyio.check_target(real)
        mode = stat.S_IMODE(real.stat().st_mode) if real.exists() else mode
        write_atomic(real, content, mode=mode)
    except OSError as e:
        raise StorageError(f"cannot write {path}: {e.strerror}") from e
