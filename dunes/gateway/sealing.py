"""Seal the keys of a mesh in the database.

A mesh has one secret of 32 random bytes. It is stored wrapped (X-Wing) to this gateway's own
key, so whoever can unlock the identity can read it, and nobody else. A field is::

    salt(16) ‖ AES-256-GCM(key, nonce, field, associated data = what the field is)
    key ‖ nonce = HKDF-SHA256(secret, salt, "dunes/2048-aes/v1/mesh-field", 32 + 12 bytes)

with a fresh random salt each time: no key is used twice, not even by a restored copy. The
associated data names the mesh, the kind of field and its row (`field_name`): a key that was
moved to another row opens nowhere.

Sans-IO: randomness comes in as arguments, but for the wrap's ephemeral keys.
"""

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dunes.crypto import names
from dunes.crypto.errors import NotARecipient, Tampered
from dunes.crypto.xwing import Recipient, RecipientKey
from dunes.errors import LocalError

SECRET_BYTES = 32
SALT_BYTES = 16
OWN_KEY_BYTES = 16
FINGERPRINT_BYTES = 16
_KEY_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 12, 16


def field_name(mesh: bytes, kind: str, *row: int | bytes) -> bytes:
    """Say what a field is: the associated data it is sealed with.

    Args:
        mesh: UUID of the mesh.
        kind: `net`, `net-new`, `app`, `app-new` or `device`.
        row: what tells its row from others: an index; address and UUID.
    """
    parts = [part.hex() if isinstance(part, bytes) else str(part) for part in row]
    return names.info(names.LABEL_MESH_FIELD, mesh.hex(), kind, *parts)


class FieldSealer:
    """Seals and opens the fields of one mesh. Shows nothing of its secret."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_BYTES:
            raise LocalError(f"the secret of a mesh has {SECRET_BYTES} bytes, not {len(secret)}")
        self._secret = secret

    @classmethod
    def unwrap(cls, mesh: bytes, wraps: Mapping[str, bytes], keys: Sequence[RecipientKey]) -> Self:
        """Open a mesh's secret with whichever of our keys it was wrapped to.

        Args:
            mesh: its UUID.
            wraps: by key id.
            keys: this place's, present and retired.

        Raises:
            NotARecipient: it was wrapped to others.
            Tampered: the wrap does not open.
        """
        for each in keys:
            if each.kid in wraps:
                return cls(each.unwrap(wraps[each.kid], _wrap_info(mesh, each.kid)))
        kids = ", ".join(sorted(wraps)) or "nobody"
        raise NotARecipient(
            f"the keys of this mesh are sealed for {kids}, and no such key is here",
            hint="restore the identity from its backup, or import the mesh from a state export: "
            "dunes mesh-import FILE",
        )

    def wrap(self, mesh: bytes, recipient: Recipient) -> bytes:
        """Wrap the secret to a key of ours."""
        return recipient.wrap(self._secret, _wrap_info(mesh, recipient.kid))

    def own_device_key(self, mesh: bytes) -> bytes:
        """Derive the device key that our own node has in a Configuration Database.

        Nobody is answered under it, as a gateway has no configuration server; the format
        wants one for every node. 16 bytes, the same each time.
        """
        info = field_name(mesh, "own-device")
        return HKDF(hashes.SHA256(), OWN_KEY_BYTES, salt=None, info=info).derive(self._secret)

    def fingerprinter(self, mesh: bytes) -> Callable[[bytes], bytes]:
        """Give a keyed hash of 16 bytes: who has the database alone can guess at no message."""
        info = field_name(mesh, "fingerprint")
        key = HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=info).derive(self._secret)
        return lambda said: hmac.digest(key, said, "sha256")[:FINGERPRINT_BYTES]

    def seal(self, field: bytes, name: bytes, salt: bytes) -> bytes:
        """Seal one field.

        Args:
            field: a key.
            name: from `field_name`.
            salt: 16 fresh bytes of `os.urandom`.
        """
        if len(salt) != SALT_BYTES:
            raise LocalError(f"a field's salt has {SALT_BYTES} bytes, not {len(salt)}")
        key, nonce = self._derive(salt)
        return salt + AESGCM(key).encrypt(nonce, field, name)

    def open(self, sealed: bytes, name: bytes) -> bytes:
        """Open one field.

        Raises:
            Tampered: it was changed, cut, or belongs to another row.
        """
        salt, body = sealed[:SALT_BYTES], sealed[SALT_BYTES:]
        if len(body) < _TAG_BYTES:
            raise Tampered("a sealed mesh key is cut short")
        key, nonce = self._derive(salt)
        try:
            return AESGCM(key).decrypt(nonce, body, name)
        except InvalidTag as e:
            raise Tampered(
                "a sealed mesh key does not open: changed, or moved from another row",
                hint="restore the database, or import the mesh from a state export",
            ) from e

    def _derive(self, salt: bytes) -> tuple[bytes, bytes]:
        wide = HKDF(
            hashes.SHA256(), _KEY_BYTES + _NONCE_BYTES, salt=salt, info=names.LABEL_MESH_FIELD
        ).derive(self._secret)
        return wide[:_KEY_BYTES], wide[_KEY_BYTES:]

    def __repr__(self) -> str:
        """Show nothing secret."""
        return "<FieldSealer (secret hidden)>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise LocalError("the secret of a mesh is not pickled")


def _wrap_info(mesh: bytes, kid: str) -> bytes:
    return names.info(names.LABEL_MESH_SECRET, mesh.hex(), kid)
