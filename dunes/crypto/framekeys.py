"""Seal buffer frames: one secret per epoch, wrapped once; one key per frame, never twice.

A *seal epoch* begins when a writer starts (and whenever its recipients change): 32
random bytes that live in its memory only. The epoch's *key record* holds them wrapped
to each recipient, signed by the writer; it is stored and sent before the first frame
that needs it. Frames name it by `key_id`, the first 8 bytes of SHA-256 over the record.

A frame's key and nonce come from the epoch's secret and 16 fresh random bytes that
stand in the frame's header::

    key ‖ nonce = HKDF-SHA256(ikm = secret, salt = the 16 bytes,
                  info = "dunes/2048-aes/v1/frame" 00 SHA-256(key record), 32 + 12 bytes)
    body        = AES-256-GCM(key, nonce, plaintext, associated data = the frame header)

So a writer that crashes, or wakes up on a restored disk, has a new secret; one whose
memory was cloned still draws a new salt per frame. No counter is kept anywhere, and
nothing repeats. Sealing leaves the writer unable to read what an earlier run sealed,
unless its own key is among the recipients.

The layout of a key record is in `dunes.crypto.keyrecord`. Time and randomness are
arguments, but for the wraps' ephemeral keys and the signature's hedge: the engine draws
those itself.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dunes.crypto import names
from dunes.crypto.errors import NotARecipient, Tampered, UnknownKey, Untrusted
from dunes.crypto.keyrecord import KEY_ID_BYTES, SECRET_BYTES, KeyRecord, make_key_record
from dunes.crypto.signing import SigningKey, VerifyKey
from dunes.crypto.xwing import Recipient, RecipientKey
from dunes.errors import LocalError

__all__ = [
    "KEY_ID_BYTES",
    "NOT_SEALED",
    "SALT_BYTES",
    "SEAL_OVERHEAD_BYTES",
    "SECRET_BYTES",
    "FrameOpener",
    "FrameSealer",
    "KeyRecord",
    "derive_frame_key",
]

SALT_BYTES = 16
NOT_SEALED = bytes(KEY_ID_BYTES)
"""The key id of a frame that is in clear."""
SEAL_OVERHEAD_BYTES = 16
"""The tag of AES-256-GCM, at the end of the body."""

_KEY_BYTES, _NONCE_BYTES = 32, 12


def derive_frame_key(secret: bytes, record_hash: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """Derive one frame's AES-256-GCM key (32 bytes) and nonce (12 bytes).

    Args:
        secret: 32 bytes, the epoch's.
        record_hash: SHA-256 of the epoch's whole key record.
        salt: 16 random bytes, from the frame's header.
    """
    wide = HKDF(
        hashes.SHA256(),
        _KEY_BYTES + _NONCE_BYTES,
        salt=salt,
        info=names.LABEL_FRAME + b"\x00" + record_hash,
    ).derive(secret)
    return wide[:_KEY_BYTES], wide[_KEY_BYTES:]


class FrameSealer:
    """The writing side of one seal epoch. Its secret exists in this object only.

    Attributes:
        key_record: store and send it before the first frame.
        key_id: 8 bytes, for the header of each frame.
    """

    __slots__ = ("_hash", "_last_salt", "_secret", "key_id", "key_record")

    def __init__(self, secret: bytes, key_record: bytes) -> None:
        self._secret = secret
        self._hash = hashlib.sha256(key_record).digest()
        self._last_salt = b""
        self.key_record = key_record
        self.key_id = self._hash[:KEY_ID_BYTES]

    @classmethod
    def new(
        cls,
        recipients: Sequence[Recipient],
        sender: SigningKey,
        stream: str,
        random: bytes,
        now_us: int,
    ) -> Self:
        """Begin an epoch.

        Args:
            recipients: who can read the frames: the writer's own key and each
                destination's, 1 to 64, none twice.
            sender: signs the key record; ML-DSA-65.
            stream: 1 to 64 of A-Z a-z 0-9 . _ -.
            random: 32 fresh bytes of `os.urandom`, used for nothing else, kept nowhere.
            now_us: µs since 1970 UTC.

        Raises:
            LocalError: an argument is wrong.
            BadKeyFile: a recipient's key is degenerate.
        """
        return cls(random, make_key_record(recipients, sender, stream, random, now_us))

    def seal(self, plaintext: bytes, header_aad: bytes, salt: bytes) -> bytes:
        """Seal one frame's body: 16 bytes longer than the plaintext.

        Args:
            plaintext: the packed and compressed readings.
            header_aad: the frame's header, `key_id` and `salt` among it; not sealed, but
                the body opens under no other.
            salt: 16 fresh bytes of `os.urandom` for this frame alone.

        Raises:
            LocalError: the salt has another length, or is that of the frame before.
        """
        if len(salt) != SALT_BYTES:
            raise LocalError(f"a frame salt has {SALT_BYTES} bytes, not {len(salt)}")
        if salt == self._last_salt:
            raise LocalError("a frame salt was given twice; each frame needs fresh random bytes")
        self._last_salt = salt
        key, nonce = derive_frame_key(self._secret, self._hash, salt)
        return AESGCM(key).encrypt(nonce, plaintext, header_aad)

    def __repr__(self) -> str:
        """Show the key id, nothing secret."""
        return f"<FrameSealer {self.key_id.hex()} (secret hidden)>"


@dataclass(slots=True, repr=False)
class _Epoch:
    """What an opener knows of one epoch: the secret only once a frame asked for it."""

    record: KeyRecord
    record_hash: bytes
    secret: bytes | None = None


class FrameOpener:
    """The reading side: any number of epochs, by the private keys at hand.

    Args:
        private_keys: old ones too, so that what was sealed before a rotation still opens.
        senders: whose key records are believed; a record of anybody else is refused, as
            whoever knows our public key could have made one.
    """

    __slots__ = ("_epochs", "_grants", "_keys", "_senders")

    def __init__(self, private_keys: Iterable[RecipientKey], senders: Iterable[VerifyKey]) -> None:
        self._keys = {key.kid: key for key in private_keys}
        self._senders = {key.kid: key for key in senders}
        self._epochs: dict[bytes, _Epoch] = {}
        self._grants: dict[bytes, list[KeyRecord]] = {}

    def add_record(self, encoded: bytes) -> bytes:
        """Verify and remember a key record or a grant; again is harmless. Gives its key id.

        Raises:
            BadRecord, SuiteRefused: not a record of this suite.
            Untrusted: its sender is not among `senders`.
            BadSignature: changed, or signed by somebody else.
        """
        record_hash = hashlib.sha256(encoded).digest()
        key_id = record_hash[:KEY_ID_BYTES]
        known = self._epochs.get(key_id)
        if known is not None and known.record_hash == record_hash:
            return key_id
        record = KeyRecord.parse(encoded)
        sender = self._senders.get(record.sender)
        if sender is None:
            raise Untrusted(
                f"a key record by {record.sender}, whom nobody here trusts to seal frames",
                hint="dunes keys trust FILE.pub.maml --role gateway",
            )
        record.verify(sender)
        if record.grants:
            known_grants = self._grants.setdefault(record.grants, [])
            if record not in known_grants:
                known_grants.append(record)
        else:
            self._epochs[key_id] = _Epoch(record, record_hash)
        return key_id

    def knows(self, key_id: bytes) -> bool:
        """Tell whether the key record of that id was added."""
        return key_id in self._epochs

    def epochs(self) -> list[bytes]:
        """Name the seal epochs whose key records were added: their key ids."""
        return list(self._epochs)

    def record(self, key_id: bytes) -> KeyRecord:
        """Give the verified key record of that id.

        Raises:
            UnknownKey: it was not added.
        """
        return self._epoch(key_id).record

    def open(self, key_id: bytes, salt: bytes, body: bytes, aad: bytes) -> bytes:
        """Open one frame's body.

        Args:
            key_id: 8 bytes, from the frame's header.
            salt: 16 bytes, from the frame's header.
            body: what `seal` gave.
            aad: the frame's header.

        Raises:
            UnknownKey: no key record of that id.
            NotARecipient: there is one, for other keys than ours.
            Tampered: body, salt or header is not what was sealed.
        """
        epoch = self._epoch(key_id)
        secret = self.unwrap(key_id)
        if len(salt) != SALT_BYTES or len(body) < SEAL_OVERHEAD_BYTES:
            raise Tampered(f"a sealed frame of key {key_id.hex()} is cut short")
        key, nonce = derive_frame_key(secret, epoch.record_hash, salt)
        try:
            return AESGCM(key).decrypt(nonce, body, aad)
        except InvalidTag as e:
            raise Tampered(
                f"a frame sealed under key {key_id.hex()} was changed, or moved to another place"
            ) from e

    def unwrap(self, key_id: bytes) -> bytes:
        """Give an epoch's secret, to grant it to somebody else.

        Raises:
            UnknownKey: no key record of that id.
            NotARecipient: it is wrapped to other keys than ours.
        """
        epoch = self._epoch(key_id)
        if epoch.secret is None:
            epoch.secret = self._unwrap(epoch)
        return epoch.secret

    def recipients(self, key_id: bytes) -> set[str]:
        """Say who can open an epoch's frames, by the records that were added: their kids."""
        epoch = self._epoch(key_id)
        return {kid for record in self._records(epoch) for kid in record.wraps}

    def _epoch(self, key_id: bytes) -> _Epoch:
        """Find the epoch of a key id."""
        try:
            return self._epochs[bytes(key_id)]
        except KeyError as e:
            raise UnknownKey(
                f"no key record {bytes(key_id)[:KEY_ID_BYTES].hex()}: this epoch is not known here"
            ) from e

    def _records(self, epoch: _Epoch) -> list[KeyRecord]:
        """Give the record that began an epoch, and what was granted since."""
        return [epoch.record, *self._grants.get(epoch.record_hash, [])]

    def _unwrap(self, epoch: _Epoch) -> bytes:
        """Open the epoch's secret with whichever of our keys it was wrapped to."""
        for record in self._records(epoch):
            for kid in record.wraps.keys() & self._keys.keys():
                secret = self._keys[kid].unwrap(record.wraps[kid], record.info_for(kid))
                if len(secret) != SECRET_BYTES:
                    raise Tampered("an epoch secret of the wrong length")
                return secret
        raise NotARecipient(
            f"sealed to {', '.join(sorted(epoch.record.wraps))}; none of these keys is here",
            hint="dunes keys list",
        )
