"""Make a key: choose the algorithm, draw the seeds, write the two documents."""

import os
from dataclasses import dataclass
from pathlib import Path

from dunes.crypto import entropy, keyio, sources
from dunes.crypto.errors import EntropyFailed, KeyExists
from dunes.crypto.identity import adopt, identity_path, make_keys, make_lock
from dunes.crypto.keyfile import KeyPair
from dunes.crypto.keywriter import RANDOM_BYTES, Description, write_key_document
from dunes.crypto.signing import SUITE_ALGORITHM
from dunes.errors import UsageError
from dunes.paths import Paths

SUFFIX, PUBLIC_SUFFIX = ".maml", ".pub.maml"
ALIASES = {
    "dilithium2": "ML-DSA-44",
    "ml-dsa-44": "ML-DSA-44",
    "dilithium": SUITE_ALGORITHM,
    "dilithium3": SUITE_ALGORITHM,
    "crystals-dilithium": SUITE_ALGORITHM,
    "crystals-dilithium-256": SUITE_ALGORITHM,
    "ml-dsa": SUITE_ALGORITHM,
    "ml-dsa-65": SUITE_ALGORITHM,
    "dilithium5": "ML-DSA-87",
    "crystals-dilithium-512": "ML-DSA-87",
    "ml-dsa-87": "ML-DSA-87",
}
"""What people call it, and what it is since FIPS 204. Round-3 signatures are not these."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for.

    Attributes:
        name: of the key's owner.
        role: what the key is for.
        requested: the algorithm as it was called.
        bits: of root seed material to draw.
        source: as `--entropy` names it.
        require_quantum: a source that fails, or is none, is an error.
        timeout_s: silence after which an http source is given up.
    """

    name: str
    role: str
    requested: str = "dilithium"
    bits: int = 512
    source: str = "os"
    require_quantum: bool = False
    timeout_s: float = sources.TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Made:
    """New keys and the account of their randomness."""

    keys: KeyPair
    account: entropy.Account
    dropped: str = ""
    """Why a source was not used, if one was asked for."""


def algorithm_of(requested: str) -> str:
    """Give the algorithm that a name stands for, in any case.

    Raises:
        UsageError: none.
    """
    try:
        return ALIASES[requested.lower()]
    except KeyError as e:
        raise UsageError(
            f"no algorithm {requested[:80]!r}; there are {', '.join(ALIASES)}",
            hint="--algo dilithium",
        ) from e


def public_name(path: Path) -> Path:
    """Say where the public document goes: beside the private one."""
    keyio.check_target(path)
    if path.name.endswith(PUBLIC_SUFFIX):
        raise UsageError(
            f"{path.name} would be a public document; name the private one",
            hint=f"--output {path.name.removesuffix(PUBLIC_SUFFIX)}{SUFFIX}",
        )
    return path.with_name(path.name.removesuffix(SUFFIX) + PUBLIC_SUFFIX)


def make(wanted: Wanted, *, api_key: str = "", url: str = "", ca_file: str = "") -> Made:
    """Draw seeds and make the keys; the source first, the operating system after it.

    Args:
        wanted: what for.
        api_key: of an http source.
        url: asked in place of an http source's own address.
        ca_file: believed in place of the system's authorities.

    Raises:
        UsageError: the algorithm, the bits or the source do not exist.
        EntropyFailed: under `require_quantum`: the source failed or measures nothing.
    """
    algorithm = algorithm_of(wanted.requested)
    bits = entropy.check_bits(wanted.bits)
    drawn, dropped = None, ""
    if wanted.source == "os":
        if wanted.require_quantum:
            raise UsageError(
                "--require-quantum needs a quantum source",
                hint="--entropy file:/dev/qrandom0, or --entropy http:NAME",
            )
        data = os.urandom(bits // 8)
        drawn = entropy.Draw(data, "", quantum=False, statement=entropy.OS_STATEMENT)
    else:
        try:
            drawn = sources.draw(
                wanted.source,
                bits,
                api_key=api_key,
                url=url,
                ca_file=ca_file,
                timeout_s=wanted.timeout_s,
            )
        except EntropyFailed as e:
            if wanted.require_quantum:
                raise
            dropped = e.message
        if wanted.require_quantum and drawn is not None and "simulator" in drawn.source:
            raise EntropyFailed(
                "a local simulator measures nothing quantum; --require-quantum refuses it",
                hint="--entropy file:/dev/qrandom0, or --entropy http:NAME",
            )
    seeds = entropy.mix(drawn, os.urandom(entropy.OS_BYTES))
    return Made(make_keys(wanted.name, seeds, algorithm), seeds.account, dropped)


def check_free(path: Path, *, force: bool) -> None:
    """Refuse before any work if a key would be overwritten.

    Raises:
        KeyExists: the private or the public document is there.
    """
    for target in (path, public_name(path)):
        if not force and os.path.lexists(target):
            raise KeyExists(
                f"{target} exists; a key is not overwritten without --force",
                hint="choose another --output, or --force",
            )


def store(
    paths: Paths,
    path: Path,
    made: Made,
    about: Description,
    secret: bytes | None,
    *,
    force: bool,
    identity: bool,
) -> tuple[str, bool]:
    """Write both documents, and make the key this place's identity if it has none.

    Args:
        paths: where this place's keys are.
        path: of the private document.
        made: the keys.
        about: what to say of them.
        secret: the passphrase; None binds the private keys to this machine.
        force: replace what is there.
        identity: become this place's identity, unless there is one.

    Returns:
        how the private keys are locked, and whether the key became the identity.
    """
    lock, kind = make_lock(paths, secret)
    private = write_key_document(
        made.keys, about, os.urandom(RANDOM_BYTES), lock=lock, lock_kind=kind
    )
    public = write_key_document(made.keys, about, os.urandom(RANDOM_BYTES))
    write = keyio.write_over if force else keyio.write_new
    write(path, private)
    write(public_name(path), public, mode=keyio.PUBLIC_MODE)
    suite = made.keys.signing.algorithm.name == SUITE_ALGORITHM
    if not identity or not suite or identity_path(paths).exists():
        return kind, False
    try:
        adopt(paths, private, public)
    except KeyExists:  # another process was faster
        return kind, False
    return kind, True
