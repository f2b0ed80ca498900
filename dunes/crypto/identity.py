"""Who this place is: one signing key, one key to open what is sealed to it, one name.

A gateway, a ground station or an operator has one identity per installation, in
`identity.maml` of its keys directory, readable without a passphrase by this machine
only (see `dunes.crypto.machine` for what that is worth).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dunes.crypto import keyio
from dunes.crypto.errors import BadKeyFile, KeyExists, NoIdentity, WrongPassphrase
from dunes.crypto.machine import machine_secret
from dunes.crypto.signing import SEED_BYTES, SigningKey
from dunes.crypto.xwing import MLKEM_SEED_BYTES, X25519_BYTES, RecipientKey
from dunes.errors import NotFound
from dunes.paths import Paths

FILE_NAME = "identity.key"
DEFAULT_NAME = "gateway"
_MAGIC = b"DUNESID1"
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Identity:
    """The private keys of one place.

    Attributes:
        name: for people; the `kid` is what counts.
        signing: signs lane heads, receipts, acknowledgements, key records.
        recipient: opens what is sealed to this place; same kid.
    """

    name: str
    signing: SigningKey
    recipient: RecipientKey

    @property
    def kid(self) -> str:
        """The key id: 32 hex digits."""
        return self.signing.kid


def identity_path(paths: Paths) -> Path:
    """Say where the identity is kept."""
    return paths.keys / FILE_NAME


def load_identity(paths: Paths) -> Identity:
    """Load this place's identity.

    Raises:
        NoIdentity: none was made yet.
        KeyRefused: the file's mode, owner or kind.
        WrongPassphrase: it was made on another machine.
    """
    path = identity_path(paths)
    try:
        blob = keyio.read_private(path)
    except NotFound as e:
        raise NoIdentity(
            f"this place has no identity key yet ({path})", hint="dunes keygen"
        ) from e
    if not blob.startswith(_MAGIC):
        raise BadKeyFile(f"{path} is not an identity key")
    nonce = blob[len(_MAGIC) : len(_MAGIC) + _NONCE_BYTES]
    try:
        plain = AESGCM(machine_secret(paths.keys)).decrypt(
            nonce, blob[len(_MAGIC) + _NONCE_BYTES :], _MAGIC
        )
    except (InvalidTag, ValueError) as e:
        raise WrongPassphrase(
            f"{path} does not open on this machine",
            hint="restore the keys directory and /etc/machine-id together, or: dunes keygen",
        ) from e
    signing = SigningKey.from_seed(plain[:SEED_BYTES])
    rest = plain[SEED_BYTES:]
    recipient = RecipientKey.from_seeds(
        signing.kid,
        rest[:MLKEM_SEED_BYTES],
        rest[MLKEM_SEED_BYTES : MLKEM_SEED_BYTES + X25519_BYTES],
    )
    return Identity(rest[MLKEM_SEED_BYTES + X25519_BYTES :].decode("utf-8"), signing, recipient)


def create_identity(paths: Paths, name: str = DEFAULT_NAME) -> Identity:
    """Make this place's identity from the operating system's generator, and store it.

    Raises:
        KeyExists: there is one.
    """
    paths.ready(paths.keys)
    signing = SigningKey.generate()
    seeds = os.urandom(MLKEM_SEED_BYTES), os.urandom(X25519_BYTES)
    plain = signing.seed_bytes() + seeds[0] + seeds[1] + name.encode("utf-8")
    nonce = os.urandom(_NONCE_BYTES)
    secret = machine_secret(paths.keys, create=True)
    blob = _MAGIC + nonce + AESGCM(secret).encrypt(nonce, plain, _MAGIC)
    keyio.write_new(identity_path(paths), blob)
    return Identity(name, signing, RecipientKey.from_seeds(signing.kid, *seeds))


def ensure_identity(paths: Paths, name: str = DEFAULT_NAME) -> Identity:
    """Load the identity, making it first if there is none; two processes get the same one."""
    try:
        return load_identity(paths)
    except NoIdentity:
        try:
            return create_identity(paths, name)
        except KeyExists:  # another process was faster
            return load_identity(paths)
