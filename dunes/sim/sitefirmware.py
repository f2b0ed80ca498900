"""The simulated site's own firmware: what its nodes run, and what they can be flashed with.

In the site's folder, made once::

    firmware/bootloader.key       of which the virtual bootloaders know the public half (0600)
    firmware/factory.bin          what nodes run when they are new: version 1.1
    firmware/maker/               the identity that signs the manifests
    firmware/maker.pub.maml       its public document
    firmware/ble-mesh-v1.1/…  ble-mesh-v1.2/…  index.json    a catalogue

The images are whole in every respect and hold no code: a body of noise that says so. Their
board is `simulated`, in the manifest and under the bootloader's signature, so no real board
is offered them and none would start them.
"""

import hashlib
import importlib.util
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from dunes.clock import SYSTEM_CLOCK, rfc3339
from dunes.crypto import keyio
from dunes.crypto.identity import ensure_identity
from dunes.firmware.catalogue import Folder, add
from dunes.firmware.image import parse_image
from dunes.firmware.manifest import SIMULATED_BOARD, manifest_of
from dunes.firmware.shelf import MAKER_FILE
from dunes.firmware.version import Version
from dunes.paths import find_paths, write_atomic
from dunes.sim.signedimage import make_image

NAME = "ble-mesh"
FACTORY, LATEST = Version(1, 1), Version(1, 2)
KEY_FILE, FACTORY_FILE, MAKER_FOLDER = "bootloader.key", "factory.bin", "maker"
ABOUT = "for the simulated site's nodes; holds no code"
BANNER = b"SIMULATED dunes ble-mesh firmware %s: this image holds no code.\n"
BODY_BYTES = 60_000
"""As large as Zephyr's smallest mesh samples are."""


def prepare_firmware(folder: Path) -> str:
    """Make the site's firmware, unless it is there.

    Returns:
        the folder; empty where nodes cannot be flashed, as a library is missing.

    Raises:
        StorageError: the disk said no.
    """
    if importlib.util.find_spec("cbor2") is None:
        return ""
    if not (folder / MAKER_FILE).exists():
        _make(folder)
    return str(folder)


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = _key(folder)
    maker = ensure_identity(
        find_paths({"DUNES_HOME": str(folder / MAKER_FOLDER)}), "site-firmware", "operator"
    )
    created = rfc3339(SYSTEM_CLOCK.unix_us() // 1_000_000 * 1_000_000)
    for version in (FACTORY, LATEST):
        data = make_image(_body(version), version, SIMULATED_BOARD, key)
        manifest = manifest_of(parse_image(data), NAME, SIMULATED_BOARD, created, about=ABOUT)
        add(Folder(folder), manifest, data, maker.signing)
        if version == FACTORY:
            write_atomic(folder / FACTORY_FILE, data, mode=0o644)
    write_atomic(folder / MAKER_FILE, maker.document, mode=0o644)


def bootloader_key(folder: Path) -> Ed25519PublicKey:
    """Give what the virtual bootloaders check images with."""
    return _key(folder).public_key()


def factory_image(folder: Path) -> bytes:
    """Give what nodes run when they are new."""
    return (folder / FACTORY_FILE).read_bytes()


def _key(folder: Path) -> Ed25519PrivateKey:
    path = folder / KEY_FILE
    if not path.exists():
        keyio.write_over(path, os.urandom(32))
    return Ed25519PrivateKey.from_private_bytes(keyio.read_private(path))


def _body(version: Version) -> bytes:
    """Make noise that compresses no better than code does, with a line that says what it is."""
    banner = BANNER % version.short.encode()
    noise = hashlib.shake_256(b"dunes/simulated-firmware/" + banner).digest(BODY_BYTES)
    return banner + noise[len(banner) :]
