"""A firmware catalogue: a folder, which any web server can offer to others.

::

    index.json                               what there is, for those who cannot list folders
    ble-mesh-v1.2/nrf52840dk_nrf52840/
        manifest.json  manifest.json.sig     what it is, and who signed that
        image.bin                            what is flashed

Whole firmware appears under a temporary name and is renamed, the index last.
"""

import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

from dunes.crypto import detached
from dunes.crypto.errors import BadContainer, BadSignature, SuiteRefused, Untrusted
from dunes.crypto.signing import SigningKey, VerifyKey
from dunes.errors import DataError, NotFound, StorageError
from dunes.firmware.errors import BadManifest
from dunes.firmware.image import SIZE_MAX_BYTES
from dunes.firmware.manifest import MANIFEST_MAX_BYTES, Manifest, read_manifest
from dunes.paths import Paths, sync_directory, write_atomic

FOLDER = "firmware"
INDEX, MANIFEST, SIGNATURE = "index.json", "manifest.json", "manifest.json.sig"
INDEX_SCHEMA = "dunes.firmware-index/1"
INDEX_MAX_BYTES = 1 << 20
ENTRIES_MAX = 4096


class Source(Protocol):
    """Where firmware lies."""

    @property
    def name(self) -> str:
        """For people: a path or an address."""
        ...

    def places(self) -> list[str]:
        """List the folders of all firmware, relative."""
        ...

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Read a file, relative; raises NotFound, and DataError if it is longer."""
        ...


@dataclass(frozen=True, slots=True)
class Firmware:
    """One firmware of a catalogue.

    Attributes:
        manifest: what it says to be.
        signer: kid of the key whose good signature it has; empty if there is none that we
            can check: unsigned, or by a key that is not known here.
        claimed: kid that the signature names; empty if there is none.
        source: where it lies.
        place: its folder there.
    """

    manifest: Manifest
    signer: str
    claimed: str
    source: Source
    place: str

    def image(self) -> bytes:
        """Read the image's bytes as they lie there; nothing is judged.

        Raises:
            NotFound, Unavailable, StorageError: it cannot be got.
        """
        return self.source.read(f"{self.place}/{self.manifest.file}", SIZE_MAX_BYTES)


@dataclass(frozen=True, slots=True)
class Folder:
    """A catalogue on this machine."""

    path: Path

    @classmethod
    def at(cls, paths: Paths) -> "Folder":
        """Give the catalogue of an installation."""
        return cls(paths.data / FOLDER)

    @property
    def name(self) -> str:
        """Its path."""
        return str(self.path)

    def places(self) -> list[str]:
        """List what lies there; its own index is for others."""
        found = sorted(self.path.glob(f"*/*/{MANIFEST}"))[:ENTRIES_MAX]
        return [str(path.parent.relative_to(self.path)) for path in found]

    def read(self, name: str, limit_bytes: int) -> bytes:
        """Read a file.

        Raises:
            NotFound: there is none.
            DataError: it is longer than it may be.
            StorageError: the disk said no.
        """
        try:
            with (self.path / name).open("rb") as file:
                data = file.read(limit_bytes + 1)
        except (FileNotFoundError, NotADirectoryError) as e:
            raise NotFound(f"no file {self.path / name}", hint="dunes firmware list") from e
        except OSError as e:
            raise StorageError(f"cannot read {self.path / name}: {e.strerror}") from e
        if len(data) > limit_bytes:
            raise DataError(f"{self.path / name} is longer than {limit_bytes} bytes")
        return data


def load(source: Source, place: str, keys: Mapping[str, VerifyKey]) -> Firmware:
    """Read one firmware's manifest and check its signature.

    Args:
        source: where it lies.
        place: its folder there.
        keys: public keys by kid, to check with; being here is not being believed.

    Raises:
        BadManifest: it cannot be read.
        BadSignature: the manifest was changed after it was signed.
    """
    data = source.read(f"{place}/{MANIFEST}", MANIFEST_MAX_BYTES)
    manifest = read_manifest(data)
    if manifest.place != place:
        raise BadManifest(f"{source.name}/{place} holds the manifest of {manifest.place}")
    try:
        signature = detached.read_signature(
            source.read(f"{place}/{SIGNATURE}", detached.FILE_MAX_BYTES)
        )
    except NotFound:
        return Firmware(manifest, "", "", source, place)
    except (BadContainer, SuiteRefused) as e:
        raise BadManifest(f"{source.name}/{place}/{SIGNATURE}: {e.message}") from e
    try:
        key = detached.verify_stream(BytesIO(data), signature, keys)
    except Untrusted:
        return Firmware(manifest, "", signature.kid, source, place)
    except BadSignature as e:
        raise BadSignature(
            f"{source.name}/{place}: {e.message}", hint="get it anew from who made it"
        ) from e
    return Firmware(manifest, key.kid, key.kid, source, place)


def load_all(
    sources: Iterable[Source], keys: Mapping[str, VerifyKey], name: str = ""
) -> Iterator[Firmware | tuple[str, DataError | BadSignature]]:
    """Read all firmware, or all of a name; what cannot be read comes as place and error."""
    wanted = f"{name}-v" if name else ""
    for source in sources:
        for place in source.places():
            if not place.startswith(wanted):
                continue
            try:
                yield load(source, place, keys)
            except (DataError, NotFound, BadSignature) as e:
                error = e if isinstance(e, DataError | BadSignature) else DataError(e.message)
                yield f"{source.name}/{place}", error


def add(folder: Folder, manifest: Manifest, image: bytes, signer: SigningKey) -> Firmware:
    """Put firmware into a catalogue, and sign its manifest.

    Raises:
        DataError: another image has that name, version and board already.
        StorageError: the disk said no.
    """
    target = folder.path / manifest.place
    if target.exists():
        old = read_manifest(folder.read(f"{manifest.place}/{MANIFEST}", MANIFEST_MAX_BYTES))
        if old.sha256 != manifest.sha256:
            raise DataError(
                f"{manifest.label} for {manifest.board} is there already, and is another image",
                hint=f"give the new one a new version, or remove {target}",
                code="firmware-exists",
            )
    encoded = manifest.encode()
    signature = detached.sign_stream(BytesIO(encoded), signer)
    temporary = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        write_atomic(temporary / manifest.file, image, mode=0o644)
        write_atomic(temporary / SIGNATURE, signature, mode=0o644)
        write_atomic(temporary / MANIFEST, encoded, mode=0o644)
        if target.exists():  # the same image, signed anew
            shutil.rmtree(target)
        temporary.rename(target)
        sync_directory(target.parent)
        write_index(folder)
    except OSError as e:
        raise StorageError(f"cannot write {target}: {e.strerror}") from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Firmware(manifest, signer.kid, signer.kid, folder, manifest.place)


def write_index(folder: Folder) -> None:
    """Write the index anew, for those who reach the folder over HTTPS."""
    body = {"schema": INDEX_SCHEMA, "places": folder.places()}
    write_atomic(folder.path / INDEX, json.dumps(body, indent=1).encode() + b"\n", mode=0o644)
