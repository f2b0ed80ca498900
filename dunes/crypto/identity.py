"""Who this place is: one signing key, one key to open what is sealed to it, one name.

Under the keys directory::

    identity.maml             the active key document, private
    public/KID.pub.maml       the public document of each key that ever was
    retired/KID.maml          earlier keys: they open what was sealed to them, sign nothing
    machine.key               see `dunes.crypto.machine`

The identity opens by itself on its machine, or with a passphrase that comes from the
environment (`dunes.crypto.passphrase`) or from the caller.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dunes.clock import SYSTEM_CLOCK
from dunes.crypto import entropy, keyio, passphrase
from dunes.crypto.errors import BadKeyFile, KeyExists, NoIdentity, SuiteRefused, WrongPassphrase
from dunes.crypto.framekeys import FrameOpener
from dunes.crypto.keyfile import KeyDocument, KeyPair, Locks, is_name, read_key_document
from dunes.crypto.keywriter import RANDOM_BYTES, Description, write_key_document
from dunes.crypto.machine import machine_secret
from dunes.crypto.pkcs8 import MACHINE_COST, PASSPHRASE_COST, SALT_BYTES, Lock
from dunes.crypto.signing import SEED_BYTES, SUITE_ALGORITHM, SigningKey, VerifyKey
from dunes.crypto.xwing import MLKEM_SEED_BYTES, X25519_BYTES, RecipientKey
from dunes.errors import NotFound
from dunes.paths import Paths

FILE_NAME = "identity.maml"
DEFAULT_NAME = "gateway"
DEFAULT_ROLE = "gateway"
PUBLIC = "public"
RETIRED = "retired"
MACHINE, PASSPHRASE = "machine", "passphrase"


@dataclass(frozen=True, slots=True)
class Identity:
    """The private keys of one place.

    Attributes:
        name: for people; the `kid` is what counts.
        signing: signs lane heads, receipts, acknowledgements, key records.
        recipient: opens what is sealed to this place; same kid.
        retired: earlier keys, to open what was sealed to them.
        unopened: kids of earlier keys that another passphrase or machine locked.
        document: the public key document, to give to others.
    """

    name: str
    signing: SigningKey
    recipient: RecipientKey
    retired: tuple[KeyPair, ...] = ()
    unopened: tuple[str, ...] = ()
    document: bytes = b""

    @property
    def kid(self) -> str:
        """The key id: 32 hex digits."""
        return self.signing.kid

    @property
    def opening_keys(self) -> tuple[RecipientKey, ...]:
        """Every private key that opens something, the present one first."""
        return (self.recipient, *(pair.recipient for pair in self.retired))

    @property
    def own_senders(self) -> tuple[VerifyKey, ...]:
        """The public keys under which this place ever sealed or signed."""
        return (self.signing.public, *(pair.signing.public for pair in self.retired))

    def frame_opener(self, senders: Iterable[VerifyKey] = ()) -> FrameOpener:
        """Make an opener for frames sealed to this place by itself, or by `senders`."""
        return FrameOpener(self.opening_keys, (*self.own_senders, *senders))


def identity_path(paths: Paths) -> Path:
    """Say where the identity is kept."""
    return paths.keys / FILE_NAME


def public_path(paths: Paths, kid: str) -> Path:
    """Say where the public document of one of our keys is kept."""
    return paths.keys / PUBLIC / f"{kid}.pub.maml"


def retired_path(paths: Paths, kid: str) -> Path:
    """Say where an earlier private key is kept."""
    return paths.keys / RETIRED / f"{kid}.maml"


def make_keys(name: str, seeds: entropy.Seeds, algorithm: str = SUITE_ALGORITHM) -> KeyPair:
    """Expand a root seed into the three keys of a key document."""
    signing = SigningKey.from_seed(seeds.expand(algorithm, SEED_BYTES), algorithm)
    recipient = RecipientKey.from_seeds(
        signing.kid,
        seeds.expand("ML-KEM-768", MLKEM_SEED_BYTES),
        seeds.expand("X25519", X25519_BYTES),
    )
    return KeyPair(name, signing, recipient)


def make_lock(paths: Paths, secret: bytes | None) -> tuple[Lock, str]:
    """Make the lock of a new private document: by passphrase, or by this machine if None."""
    salt = os.urandom(SALT_BYTES)
    if secret is not None:
        return Lock(secret, salt, PASSPHRASE_COST), PASSPHRASE
    return Lock(machine_passphrase(paths, create=True), salt, MACHINE_COST), MACHINE


def machine_passphrase(paths: Paths, *, create: bool = False) -> bytes:
    """Give the machine's secret as a passphrase: 64 hex digits."""
    return machine_secret(paths.keys, create=create).hex().encode("ascii")


def open_document(
    paths: Paths, document: KeyDocument, secret: bytes | None = None, locks: Locks | None = None
) -> KeyPair:
    """Open a private key document by this machine or by a passphrase.

    Args:
        paths: for the machine's secret.
        document: private.
        secret: the passphrase; if None the environment is asked.
        locks: derivations so far, where several documents are opened by one secret.

    Raises:
        WrongPassphrase: none is at hand, or it is wrong, or the machine is another.
    """
    if document.lock == MACHINE:
        try:
            return document.unlock(machine_passphrase(paths), locks)
        except WrongPassphrase as e:
            raise WrongPassphrase(
                f"key {document.kid} does not open on this machine: {paths.keys}/machine.key or "
                "/etc/machine-id is not what it was made with",
                hint=f"restore both from a backup; or, for a new key: mv {identity_path(paths)} "
                f"{document.kid}.maml && dunes keygen",
            ) from e
    given = passphrase.from_environment() if secret is None else secret
    if given is None:
        raise WrongPassphrase(
            f"key {document.kid} is locked with a passphrase",
            hint=f"{passphrase.ENV_FILE}=FILE, or --passphrase-file FILE",
        )
    try:
        return document.unlock(given, locks)
    except WrongPassphrase as e:
        raise WrongPassphrase(
            f"the passphrase does not open key {document.kid}",
            hint="--passphrase-file FILE; without options it comes from "
            f"{passphrase.ENV_FILE}, a systemd credential, or {passphrase.ENV}",
        ) from e


def load_document(path: Path) -> KeyDocument:
    """Read a private key document from a file that only its owner can read.

    Raises:
        NotFound, KeyRefused: the file.
        BadKeyFile, BadSignature: its content.
    """
    document = read_key_document(keyio.read_private(path))
    if not document.private:
        raise BadKeyFile(f"{path} holds public keys only")
    return document


def load_identity(paths: Paths, secret: bytes | None = None) -> Identity:
    """Load this place's identity with its retired keys.

    Args:
        paths: where the keys are.
        secret: the passphrase, if it has one and the environment does not.

    Raises:
        NoIdentity: none was made yet.
        KeyRefused: the file's mode, owner or kind.
        WrongPassphrase: it was made on another machine, or is locked.
    """
    path = identity_path(paths)
    try:
        document = load_document(path)
    except NotFound as e:
        raise NoIdentity(
            f"this place has no identity key yet ({path})", hint="dunes keygen"
        ) from e
    locks: Locks = {}
    pair = open_document(paths, document, secret, locks)
    retired, unopened = [], []
    for old in load_retired(paths):
        if old.kid != pair.kid:
            try:
                retired.append(open_document(paths, old, secret, locks))
            except WrongPassphrase:  # the place works on; what was sealed to it says so
                unopened.append(old.kid)
    return Identity(
        pair.name,
        pair.signing,
        pair.recipient,
        tuple(retired),
        tuple(unopened),
        _public_document(paths, pair.kid),
    )


def load_retired(paths: Paths) -> list[KeyDocument]:
    """Read the private documents of earlier keys, the latest version first."""
    folder = paths.keys / RETIRED
    found = sorted(folder.glob("*.maml")) if folder.is_dir() else []
    return sorted((load_document(path) for path in found), key=lambda old: -old.version)


def create_identity(paths: Paths, name: str = DEFAULT_NAME, role: str = DEFAULT_ROLE) -> Identity:
    """Make this place's identity from the operating system's generator, and store it.

    It is bound to this machine and opens without a passphrase.

    Raises:
        KeyExists: there is one.
    """
    paths.ready(paths.keys)
    pair = make_keys(name, entropy.mix(None, os.urandom(entropy.OS_BYTES)))
    about = Description(
        role=role,
        requested="an identity for this place",
        created_us=SYSTEM_CLOCK.unix_us(),
        entropy=entropy.Account(8 * entropy.OS_BYTES).as_document(),
    )
    lock, kind = make_lock(paths, None)
    private = write_key_document(pair, about, os.urandom(RANDOM_BYTES), lock=lock, lock_kind=kind)
    adopt(paths, private, write_key_document(pair, about, os.urandom(RANDOM_BYTES)))
    return load_identity(paths)


def adopt(paths: Paths, private: bytes, public: bytes, *, replace: bool = False) -> None:
    """Store a key document as this place's identity; the public one first.

    Raises:
        KeyExists: there is an identity, and `replace` is off.
        SuiteRefused: the key does not sign with ML-DSA-65.
    """
    document = read_key_document(public)
    if document.algorithm != SUITE_ALGORITHM:
        raise SuiteRefused(
            f"an {document.algorithm} key cannot be an identity; 2048-AES/1 signs with "
            f"{SUITE_ALGORITHM}",
            hint="dunes keygen --algo dilithium",
        )
    paths.ready(paths.keys)
    if not replace and identity_path(paths).exists():
        raise KeyExists(
            f"this place has an identity already ({identity_path(paths)})",
            hint="dunes keys rotate",
        )
    target = public_path(paths, document.kid)
    paths.ready(target.parent)
    keyio.write_over(target, public, mode=keyio.PUBLIC_MODE)
    write = keyio.write_over if replace else keyio.write_new
    try:
        write(identity_path(paths), private)
    except KeyExists:  # another process was faster; its public document stands beside
        target.unlink(missing_ok=True)
        raise


def ensure_identity(paths: Paths, name: str = DEFAULT_NAME, role: str = DEFAULT_ROLE) -> Identity:
    """Load the identity, making it first if there is none; two processes get the same one."""
    try:
        return load_identity(paths)
    except NoIdentity:
        try:
            return create_identity(paths, name if is_name(name) else DEFAULT_NAME, role)
        except KeyExists:  # another process was faster
            return load_identity(paths)


def public_documents(paths: Paths) -> Iterator[KeyDocument]:
    """Read the public document of each key that this place ever had; no secret is needed.

    Raises:
        BadKeyFile, BadSignature: one of them.
    """
    folder = paths.keys / PUBLIC
    for path in sorted(folder.glob("*.pub.maml")) if folder.is_dir() else ():
        yield read_key_document(keyio.read_public(path))


def _public_document(paths: Paths, kid: str) -> bytes:
    """Read the public document that was stored with a key; empty if somebody removed it."""
    try:
        return keyio.read_public(public_path(paths, kid))
    except NotFound:
        return b""
