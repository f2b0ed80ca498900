"""Which public keys are believed here, and for what.

A folder with one small file per key, `KID.json`: the key document as it was given, its
roles, when it was added. A person adds a key after comparing its kid; nothing is
trusted for having been seen. Files appear and change as a whole.

An expired key (`not_after`) or a revoked one is believed no longer; a `verify-only` key
still verifies what it signed, but nothing is sealed to it.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dunes.crypto import keyio
from dunes.crypto.errors import BadKeyFile, Replayed, UnknownKey, Untrusted
from dunes.crypto.keyfile import KeyDocument, read_key_document
from dunes.crypto.signing import VerifyKey, is_kid
from dunes.crypto.xwing import Recipient
from dunes.errors import NotFound
from dunes.model import NAME
from dunes.paths import Paths

FOLDER = "trusted"
NAMES = "names"
"""Beside the entries: a small file per device, with the kid of the key it was given last."""
PEERS = "peers"
"""Beside the entries: an empty file per key that is more than a device's. A gateway has few
of those among ten thousand devices, and asks for them all the time."""
SCHEMA = "dunes.trusted-key/1"


class Role(StrEnum):
    """What a key may be believed for."""

    GATEWAY = "gateway"
    """Seals frames, signs lane heads and receipts."""
    GROUND_STATION = "ground-station"
    """Acknowledges frames, countersigns checkpoints; is sealed to."""
    DEVICE = "device"
    """Signs what a node or sensor reports."""
    OPERATOR = "operator"
    """Signs commands and files."""


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One entry.

    Attributes:
        document: the public key document.
        roles: what it is believed for.
        added_us: when it was added here.
        revoked: the reason it is believed no longer; empty if it is.
    """

    document: KeyDocument
    roles: frozenset[Role]
    added_us: int
    revoked: str = ""

    @property
    def kid(self) -> str:
        """The key id."""
        return self.document.kid

    @property
    def key(self) -> VerifyKey:
        """The public signing key."""
        return self.document.verify_key

    @property
    def recipient(self) -> Recipient | None:
        """Whom to seal to; None if the document names no such keys."""
        return self.document.recipient

    def believed(self, now_us: int) -> bool:
        """Tell whether it counts now."""
        end = self.document.not_after_us
        return not self.revoked and (end is None or now_us < end)


class TrustStore:
    """The keys believed at one place.

    Args:
        folder: one file per key; made when the first key is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def at(cls, paths: Paths) -> "TrustStore":
        """Give the trust store of an installation."""
        return cls(paths.keys / FOLDER)

    def add(self, document: bytes, roles: Iterable[Role], now_us: int) -> TrustedKey:
        """Believe a key from now on; again adds roles and takes a newer document.

        Args:
            document: a public key document.
            roles: what for.
            now_us: µs since 1970.

        Raises:
            BadKeyFile, BadSignature: the document.
            Replayed: an older version of a document that is here.
            Untrusted: the key was revoked here.
        """
        found = read_key_document(document)
        if found.private:
            raise BadKeyFile(
                "this is a private key document; only public ones are given to others",
                hint="dunes keys export --output NAME.pub.maml",
            )
        wanted = frozenset(roles)
        added_us = now_us
        if self.has(found.kid):
            old = self.get(found.kid)
            if old.revoked:
                raise Untrusted(f"key {found.kid} was revoked here: {old.revoked}")
            if found.version < old.document.version or (
                old.document.status == "verify-only" and found.status == "active"
            ):
                raise Replayed(
                    f"an older document of key {found.kid} than the one that is trusted here"
                )
            wanted, added_us = wanted | old.roles, old.added_us
        entry = TrustedKey(found, wanted, added_us)
        self._write(entry)
        return entry

    def revoke(self, kid: str, reason: str) -> TrustedKey:
        """Believe a key no longer, for good.

        Raises:
            UnknownKey: it is not here.
        """
        old = self.get(kid)
        entry = TrustedKey(old.document, old.roles, old.added_us, reason or "no reason given")
        self._write(entry)
        return entry

    def has(self, kid: str) -> bool:
        """Tell whether a key is here, believed or not."""
        return is_kid(kid) and (self.folder / f"{kid}.json").exists()

    def get(self, kid: str) -> TrustedKey:
        """Give an entry.

        Raises:
            UnknownKey: no such key here.
        """
        if not is_kid(kid):
            raise UnknownKey(f"{kid[:80]!r} is not a key id (32 hex digits)")
        try:
            return _read(keyio.read_public(self.folder / f"{kid}.json"), kid)
        except NotFound as e:
            raise UnknownKey(
                f"key {kid} is not trusted here", hint="dunes keys trust FILE.pub.maml"
            ) from e

    def device(self, name: str) -> TrustedKey:
        """Give the entry of the device of that name, in the same time in a store of any size.

        Of several keys that carry the name the one that was trusted last counts.

        Raises:
            UnknownKey: no key is trusted as that device's.
        """
        self._index()
        try:
            kid = (self.folder / NAMES / name).read_text("ascii") if NAME.fullmatch(name) else ""
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
            kid = ""
        entry = self.get(kid) if is_kid(kid) else None
        if entry is None or entry.document.name != name or Role.DEVICE not in entry.roles:
            raise UnknownKey(
                f"no key is trusted as that of device {name[:80]!r}",
                hint="dunes keys trust FILE.pub.maml --role device",
            )
        return entry

    def device_names(self) -> list[str]:
        """Name the devices that ever had a trusted key, in order."""
        self._index()
        folder = self.folder / NAMES
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def peers(self) -> Iterator[TrustedKey]:
        """Go through the entries that are more than a device's, in order of kid."""
        try:
            self._index()
            kids = sorted(path.name for path in (self.folder / PEERS).iterdir())
        except FileNotFoundError:
            return  # nothing was trusted yet
        except OSError:  # a store that may only be read, from before the index
            yield from (entry for entry in self if entry.roles - {Role.DEVICE})
            return
        for kid in kids:
            if self.has(kid):
                yield self.get(kid)

    def _of_roles(self, wanted: frozenset[Role]) -> Iterator[TrustedKey]:
        """Go through what can have one of the roles."""
        return iter(self) if Role.DEVICE in wanted else self.peers()

    def _index(self) -> None:
        """Make the indexes of a store from before there were any."""
        folders = [self.folder / NAMES, self.folder / PEERS]
        if self.folder.is_dir() and not all(folder.is_dir() for folder in folders):
            entries = sorted(self, key=lambda entry: entry.added_us)
            for folder in folders:
                folder.mkdir(mode=0o700, exist_ok=True)
            for entry in entries:
                self._mark(entry)
                self._name(entry)

    def _mark(self, entry: TrustedKey) -> None:
        """Note that a key is more than a device's; before its entry, so that none is missed."""
        if entry.roles - {Role.DEVICE} and is_kid(entry.kid):
            (self.folder / PEERS / entry.kid).touch(mode=0o600)

    def _name(self, entry: TrustedKey) -> None:
        name = entry.document.name
        if Role.DEVICE in entry.roles and NAME.fullmatch(name):
            keyio.write_over(self.folder / NAMES / name, entry.kid.encode("ascii"))

    def __iter__(self) -> Iterator[TrustedKey]:
        """Go through all entries, in order of kid."""
        if self.folder.is_dir():
            for path in sorted(self.folder.glob("*.json")):
                yield _read(keyio.read_public(path), path.stem)

    def senders(self, now_us: int, *roles: Role) -> dict[str, VerifyKey]:
        """Give the keys believed for any of the roles (for all, if none is named), by kid."""
        wanted = frozenset(roles or Role)
        return {
            entry.kid: entry.key
            for entry in self._of_roles(wanted)
            if entry.roles & wanted and entry.believed(now_us)
        }

    def recipients(self, now_us: int, *roles: Role) -> dict[str, Recipient]:
        """Give whom to seal to: active keys of these roles that have recipient keys, by kid."""
        wanted = frozenset(roles or Role)
        return {
            entry.kid: entry.recipient
            for entry in self._of_roles(wanted)
            if entry.roles & wanted
            and entry.believed(now_us)
            and entry.document.status == "active"
            and entry.recipient is not None
        }

    def successor_of(self, document: KeyDocument, now_us: int) -> TrustedKey | None:
        """Find the trusted key that signed a new key's document as its successor, if any."""
        for kid in document.supersedes:
            if self.has(kid):
                old = self.get(kid)
                if old.believed(now_us) and document.endorsed_by(old.key):
                    return old
        return None

    def _write(self, entry: TrustedKey) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        body = {
            "schema": SCHEMA,
            "kid": entry.kid,
            "roles": sorted(entry.roles),
            "added_us": entry.added_us,
            "revoked": entry.revoked,
            "document": entry.document.data.decode("utf-8"),
        }
        text = json.dumps(body, ensure_ascii=False, indent=1) + "\n"
        self._index()
        self._mark(entry)
        keyio.write_over(self.folder / f"{entry.kid}.json", text.encode("utf-8"))
        if not entry.revoked:
            self._name(entry)


def _read(data: bytes, kid: str) -> TrustedKey:
    """Read an entry's file."""
    try:
        body: dict[str, Any] = json.loads(data)
        document = read_key_document(body["document"].encode("utf-8"))
        entry = TrustedKey(
            document,
            frozenset(Role(role) for role in body["roles"]),
            int(body["added_us"]),
            str(body["revoked"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise BadKeyFile(f"the trust store's entry {kid}.json is damaged") from e
    if document.kid != kid:
        raise BadKeyFile(f"the trust store's entry {kid}.json holds key {document.kid}")
    return entry
