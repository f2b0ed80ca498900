"""`dunes keygen`, and `qiskit dunes-keygen`: make a key."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.commands.keys_options import (
    Engine,
    Force,
    PassphraseFd,
    PassphraseFile,
    check_engine,
    new_passphrase,
)
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import DunesError, Exit, UsageError

if TYPE_CHECKING:
    from dunes.crypto.keyfile import KeyPair
    from dunes.crypto.keygen import Made, Wanted
    from dunes.crypto.keywriter import Description

DEFAULT_OUTPUT = Path("quantum-key.maml")
IDENTITIES = ("gateway", "ground-station")
"""Roles whose first key becomes the identity of the place where it is made."""
ROLES = ("gateway", "ground-station", "device", "operator")


@dataclass(frozen=True, slots=True)
class KeygenReport:
    """A key that was made, or would be.

    Attributes:
        kid: its id, the first 32 hex digits of SHA-256 over the DER SubjectPublicKeyInfo;
            empty under `--dry-run`.
        requested: the algorithm as it was called.
        provided: what it is: the signature algorithm.
        suite: what the key is for.
        private_file: the encrypted document, for its owner alone.
        public_file: the document to give to others.
        lock: `passphrase` or `machine`.
        bits: of root seed material drawn from the source.
        entropy_source: where from, besides the operating system; empty if nowhere.
        os_bits: drawn from the operating system.
        credited_bits: of the source: always 0 until one is validated.
        statement: the honest line about the source.
        dropped: why the source that was asked for was not used; empty if it was.
        identity: the key became this place's identity.
        cross_checked: comparisons with the second engine that agreed.
        written: false under `--dry-run`.
    """

    kid: str
    requested: str
    provided: str
    suite: str
    private_file: str
    public_file: str
    lock: str
    bits: int
    entropy_source: str
    os_bits: int
    credited_bits: int
    statement: str
    dropped: str
    identity: bool
    cross_checked: tuple[str, ...]
    written: bool


def lines(report: KeygenReport) -> Iterator[str]:
    """Tell what was made."""
    done = "made" if report.written else "would make"
    yield f"{done} {report.requested} = {report.provided}, with ML-KEM-768 and X25519"
    if report.kid:
        yield f"kid      {report.kid}"
    yield f"private  {printable(report.private_file)} (locked by {report.lock})"
    yield f"public   {printable(report.public_file)} (give this one to others)"
    yield (
        f"seed     {report.bits} bits of root seed material drawn, as --bits says, and mixed with "
        "512 of the operating system; the suite's strength does not change with it"
    )
    yield f"entropy  {report.statement}"
    yield 'cipher   AES-256-GCM; "2048-AES" is a product name, no key length'
    if report.identity:
        yield "identity this place now signs, and opens what is sealed to it, with this key"
        if report.lock == "passphrase":
            yield "         unattended commands need DUNES_PASSPHRASE_FILE or a systemd credential"
    for check in report.cross_checked:
        yield f"checked  {check}"


@command(schema="dunes.keygen/1", report="dunes.commands.keygen:KeygenReport")
def keygen(
    screen: Screen,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The private key document to write."),
    ] = DEFAULT_OUTPUT,
    bits: Annotated[
        int,
        typer.Option(
            "--bits",
            metavar="N",
            help="Root seed material to draw, 256 to 65536; the strength stays the same.",
        ),
    ] = 512,
    algo: Annotated[
        str,
        typer.Option(
            "--algo", metavar="NAME", help="dilithium (ML-DSA-65), dilithium2, dilithium5, …"
        ),
    ] = "dilithium",
    entropy: Annotated[
        str,
        typer.Option(
            "--entropy",
            metavar="SOURCE",
            help="os, qiskit, file:PATH or http:NAME; mixed with the operating system's, so "
            "never weaker than that.",
        ),
    ] = "os",
    require_quantum: Annotated[
        bool,
        typer.Option(
            "--require-quantum",
            help="Fail if the source fails, or measures nothing quantum (a simulator).",
        ),
    ] = False,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout",
            metavar="DURATION",
            help="How long to wait for an http source; then the operating system's serves alone.",
        ),
    ] = "5s",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Owner of the key; default: the role.")
    ] = "",
    role: Annotated[
        str,
        typer.Option(
            "--role", metavar="gateway|ground-station|device|operator", help="What it is for."
        ),
    ] = "gateway",
    passphrase_file: PassphraseFile = None,
    passphrase_fd: PassphraseFd = None,
    machine_bound: Annotated[
        bool,
        typer.Option(
            "--machine-bound", help="No passphrase: the key opens by itself on this machine."
        ),
    ] = False,
    engine: Engine = "cryptography",
    force: Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made; make nothing.")
    ] = False,
) -> int:
    """Make a post-quantum key: a document to keep and one to give to others."""
    from dunes.crypto import entropy as mixing
    from dunes.crypto import keygen as library
    from dunes.crypto.hardening import harden_process
    from dunes.crypto.names import SUITE
    from dunes.paths import find_paths
    from dunes.units import duration_s

    if role not in ROLES:
        raise UsageError(f"no role {role[:40]!r}", hint=f"--role {ROLES[0]}")
    algorithm = library.algorithm_of(algo)
    mixing.check_bits(bits)
    second = check_engine(engine)
    public = library.public_name(output)
    timeout_s = duration_s(timeout)
    wanted = library.Wanted(name or role, role, algo, bits, entropy, require_quantum, timeout_s)
    if dry_run:
        lock = "machine" if machine_bound else "passphrase or machine"
        screen.show(plan(wanted, algorithm, output, public, lock=lock), lines)
        return Exit.OK
    library.check_free(output, force=force)
    harden_process()
    secret = new_passphrase(screen, passphrase_file, passphrase_fd, machine=machine_bound)
    made = draw(wanted)
    if made.dropped:
        screen.warn(f"{made.dropped}; the operating system's generator is used alone")
    checks = cross_check(made.keys) if second else ()
    kind, adopted = library.store(
        find_paths(),
        output,
        made,
        describe(made, wanted),
        secret,
        force=force,
        identity=role in IDENTITIES,
    )
    report = KeygenReport(
        kid=made.keys.kid,
        requested=algo,
        provided=algorithm,
        suite=SUITE,
        private_file=str(output),
        public_file=str(public),
        lock=kind,
        bits=bits,
        entropy_source=made.account.source,
        os_bits=made.account.os_bits,
        credited_bits=made.account.credited_bits,
        statement=made.account.statement,
        dropped=made.dropped,
        identity=adopted,
        cross_checked=checks,
        written=True,
    )
    screen.show(report, lines)
    return Exit.OK


def plan(
    wanted: "Wanted", algorithm: str, output: Path, public: Path, *, lock: str
) -> KeygenReport:
    """Say what would be made."""
    from dunes.crypto.names import SUITE

    return KeygenReport(
        kid="",
        requested=wanted.requested,
        provided=algorithm,
        suite=SUITE,
        private_file=str(output),
        public_file=str(public),
        lock=lock,
        bits=wanted.bits,
        entropy_source="" if wanted.source == "os" else wanted.source,
        os_bits=512,
        credited_bits=0,
        statement=f"Source: {wanted.source}, mixed with the operating system's generator.",
        dropped="",
        identity=False,
        cross_checked=(),
        written=False,
    )


def draw(wanted: "Wanted") -> "Made":
    """Make the keys; the address, authority and key of an http source are in the environment."""
    from os import environ

    from dunes.crypto.keygen import make
    from dunes.crypto.sources import api_key_from_environment

    return make(
        wanted,
        api_key=api_key_from_environment() if wanted.source.startswith("http:") else "",
        url=environ.get("DUNES_ENTROPY_URL", ""),
        ca_file=environ.get("DUNES_ENTROPY_CA_FILE", ""),
    )


def describe(made: "Made", wanted: "Wanted") -> "Description":
    """Say in the document what was asked for and where the randomness came from."""
    from dunes.clock import SYSTEM_CLOCK
    from dunes.crypto.keywriter import Description

    return Description(
        role=wanted.role,
        requested=wanted.requested.lower(),
        created_us=SYSTEM_CLOCK.unix_us(),
        entropy=made.account.as_document(),
    )


def cross_check(keys: "KeyPair") -> tuple[str, ...]:
    """Let the second engine work with the new keys.

    Raises:
        DunesError: the engines disagree; nothing was written.
    """
    from dunes.crypto.engine import Liboqs

    checks = Liboqs().cross_check(keys.signing, keys.recipient)
    wrong = [check.name for check in checks if not check.ok]
    if wrong:
        raise DunesError(
            f"the two engines disagree: {'; '.join(wrong)}; no key was written",
            hint="dunes doctor --only liboqs",
            code="engines-disagree",
        )
    return tuple(check.name for check in checks)
