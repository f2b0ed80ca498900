"""All firmware that is at hand, and whose signature counts for it.

Firmware is believed if its manifest is signed by an operator's key of the trust store, or
by this place's own key. The simulated site's key counts for simulated firmware alone, and
only while the site is up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dunes.crypto import keyio
from dunes.crypto.errors import BadSignature
from dunes.crypto.identity import public_documents
from dunes.crypto.keyfile import read_key_document
from dunes.crypto.signing import VerifyKey
from dunes.crypto.truststore import Role, TrustStore
from dunes.errors import DataError, NotFound
from dunes.firmware.catalogue import Firmware, Folder, Source, load_all
from dunes.firmware.manifest import Manifest, Wanted
from dunes.firmware.rules import Objection, check_file, check_signature, same_board
from dunes.paths import Paths
from dunes.site import Site

MAKER_FILE = "maker.pub.maml"
"""Beside the site's firmware: the public key document of who signed it."""


@dataclass(frozen=True, slots=True)
class Bad:
    """Firmware that cannot be read."""

    place: str
    error: DataError | BadSignature


@dataclass(slots=True)
class Shelf:
    """What there is.

    Attributes:
        firmware: the better sources first.
        bad: what cannot be read.
        believed: keys that may sign firmware, by kid.
        site_keys: keys that may sign simulated firmware only.
    """

    firmware: list[Firmware]
    bad: list[Bad]
    believed: Mapping[str, VerifyKey]
    site_keys: Mapping[str, VerifyKey]
    _images: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def believed_for(self, manifest: Manifest) -> Mapping[str, Any]:
        """Give the keys that count for a manifest."""
        if manifest.simulated:
            return {**self.believed, **self.site_keys}
        return self.believed

    def image(self, firmware: Firmware) -> bytes:
        """Read an image, once."""
        key = (firmware.source.name, firmware.place)
        if key not in self._images:
            self._images[key] = firmware.image()
        return self._images[key]

    def objections(self, firmware: Firmware) -> list[Objection]:
        """Judge a firmware by itself: who signed it, and is it whole."""
        manifest = firmware.manifest
        signer = firmware.signer or firmware.claimed
        return [
            *check_signature(manifest, signer, self.believed_for(manifest)),
            *check_file(manifest, self.image(firmware)),
        ]

    def named(self, wanted: Wanted, kind: str | None = None, board: str = "") -> list[Firmware]:
        """Give the firmware of a name, for each board that there is one for.

        Args:
            wanted: name and version; the latest version, where none is named.
            kind: mcuboot or uf2; None: either.
            board: for which it has to be; empty: any.

        Raises:
            NotFound: there is none.
            BadSignature, DataError: there is one, and it cannot be read.
        """
        found = [f for f in self.firmware if f.manifest.name == wanted.name]
        found = [f for f in found if kind in {None, f.manifest.kind}]
        found = [f for f in found if not board or same_board(f.manifest.board, board)]
        version = wanted.version or max((f.manifest.version for f in found), default=None)
        fitting = [f for f in found if f.manifest.version == version]
        if fitting:
            return list({f.manifest.place: f for f in reversed(fitting)}.values())
        label = wanted.name + (f"-v{wanted.version.short}" if wanted.version else "")
        for bad in self.bad:
            if f"/{label}/" in bad.place:
                raise bad.error
        known = sorted({f.manifest.label for f in self.firmware})
        raise NotFound(
            f"no firmware {label}"
            + (f" of kind {kind}" if kind else "")
            + (f" for {board[:80]}" if board else ""),
            hint=f"there is {', '.join(known[:8])}" if known else "dunes firmware list",
            code="no-firmware",
        )


def open_shelf(
    paths: Paths,
    now_us: int,
    *,
    site: Site | None = None,
    more: Sequence[Source] = (),
    name: str = "",
) -> Shelf:
    """Read all catalogues, or what they have of one name.

    Args:
        paths: of this installation.
        now_us: µs since 1970; keys expire.
        site: the simulated site, if one is up.
        more: further catalogues, which go first.
        name: of the firmware that is looked for; empty: all.

    Raises:
        Unavailable, PeerError: a catalogue behind HTTPS does not answer as one.
    """
    store = TrustStore.at(paths)
    own = {document.kid: document.verify_key for document in public_documents(paths)}
    believed = {**store.senders(now_us, Role.OPERATOR), **own}
    site_keys: dict[str, VerifyKey] = {}
    sources: list[Source] = [*more, Folder.at(paths)]
    if site is not None and site.firmware:
        maker = Path(site.firmware) / MAKER_FILE
        if maker.exists():
            document = read_key_document(keyio.read_public(maker))
            site_keys[document.kid] = document.verify_key
        sources.append(Folder(Path(site.firmware)))
    known = {**{entry.kid: entry.key for entry in store}, **believed, **site_keys}
    firmware, bad = [], []
    for found in load_all(sources, known, name):
        if isinstance(found, Firmware):
            firmware.append(found)
        else:
            bad.append(Bad(*found))
    return Shelf(firmware, bad, believed, site_keys)
