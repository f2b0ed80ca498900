"""`sakina sign` and `sakina offline-verify`: k of n witnesses, and no network."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError
from dunes.units import duration_s

if TYPE_CHECKING:
    from dunes.authority.token import Token
    from sakina.tokens import TokenReport

TokenFile = Annotated[
    Path, typer.Option("--token", metavar="FILE", help="The token's file; `-`: stdin.")
]


@dataclass(frozen=True, slots=True)
class SignReport:
    """A witness's signature that was made.

    Attributes:
        output: its file; `-` is standard output.
        kid: our key.
        subject: whom the token is for.
        scopes: what for.
        expires_at: until when, RFC 3339.
    """

    output: str
    kid: str
    subject: str
    scopes: tuple[str, ...]
    expires_at: str


@command(schema="sakina.sign/1", report="sakina.commands.offline_verify:SignReport")
def sign(
    screen: Screen,
    token: TokenFile,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE",
            help="Where it goes; `-`: stdout. [default: FILE.KID.witness]",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Sign without being asked.")
    ] = False,
) -> int:  # fmt: skip
    """Bear witness to a token with this place's key, after reading what it says."""
    from dunes.authority.token import bear_witness, check_token
    from dunes.clock import SYSTEM_CLOCK, US_PER_S
    from dunes.commands.markup_keys import write_file
    from dunes.crypto.identity import load_identity
    from dunes.paths import find_paths
    from sakina.authorities import load_authorities
    from sakina.tokens import report_of, witness_path

    found = read(token)
    paths = find_paths()
    identity = load_identity(paths)
    now_us = SYSTEM_CLOCK.unix_us()
    authorities, _ = load_authorities(paths, now_us)
    checked = check_token(found, authorities, now_us / US_PER_S)
    report = report_of(found, str(token), checked)
    for row in report.checks:
        if not row.ok and row.name in {"time", "revocation"}:
            raise UsageError(f"this token is not worth a signature: {row.text}")
    if identity.kid in {found.claims.iss, found.claims.cnf}:
        raise UsageError("who issues a token, or is its subject, bears no witness to it")
    confirm(screen, report, yes=yes)
    target = output or (Path("-") if str(token) == "-" else witness_path(token, identity.kid))
    write_file(target, bear_witness(found, identity.signing).encode("ascii") + b"\n")
    if str(target) != "-":
        claims = report
        screen.show(
            SignReport(
                str(target), identity.kid, claims.subject, claims.scopes, claims.expires_at
            ),
            lambda r: [f"{r.output}: signed with key {r.kid}"],
        )
    return Exit.OK


def confirm(screen: Screen, report: "TokenReport", *, yes: bool) -> None:
    """Show what is about to be signed, and ask.

    Raises:
        UsageError: nobody can be asked.
    """
    screen.note(
        f"{', '.join(report.scopes)} for {printable(report.subject)} until {report.expires_at}, "
        f"issued by {report.issuer}"
    )
    for row in report.checks:
        if not row.ok and row.name == "issuer":
            screen.warn(printable(row.text))
    if yes:
        return
    if not screen.may_ask:
        raise UsageError("a witness reads what it signs; nobody is here to", hint="--yes")
    typer.confirm("Sign it?", abort=True, err=True)


def read(path: Path) -> "Token":
    """Read a token's file."""
    from dunes.authority.token import read_token
    from dunes.commands.markup_keys import read_file

    return read_token(read_file(path).decode("utf-8", "replace"))


@command(schema="sakina.token/1", report="sakina.tokens:TokenReport")
def offline_verify(
    screen: Screen,
    token: TokenFile,
    threshold: Annotated[
        int,
        typer.Option(
            "--threshold", metavar="COUNT", min=0,
            help="So many witnesses must have signed; 0: the issuer's word is enough, if it is "
            "an authority's.",
        ),
    ] = 3,
    signature: Annotated[
        list[Path] | None,
        typer.Option(
            "--signature", metavar="FILE",
            help="A witness's signature; repeatable. [default: FILE.*.witness]",
        ),
    ] = None,
    audience: Annotated[
        str,
        typer.Option("--audience", metavar="NAME", help="Our name, if it has to be for us."),
    ] = "",
    leeway: Annotated[
        str, typer.Option("--leeway", metavar="DURATION", help="How far clocks may differ.")
    ] = "60s",
) -> int:  # fmt: skip
    """Say whether a token counts, by k of n witnesses and without a network.

    Witnesses are all keys trusted here as a gateway's, a ground station's or an operator's,
    and this place's own. Each counts once; the issuer and the subject do not.
    """
    from dunes.authority.token import check_token
    from dunes.clock import SYSTEM_CLOCK, US_PER_S
    from dunes.commands.markup_keys import read_file
    from dunes.paths import find_paths
    from sakina.authorities import load_authorities
    from sakina.tokens import find_witnesses, report_of

    found = read(token)
    files = signature or ([] if str(token) == "-" else find_witnesses(token))
    texts = [read_file(path).decode("utf-8", "replace") for path in files]
    now_us = SYSTEM_CLOCK.unix_us()
    authorities, _ = load_authorities(find_paths(), now_us)
    checked = check_token(
        found, authorities, now_us / US_PER_S, signatures=texts, threshold=threshold,
        audience=audience, leeway_s=duration_s(leeway),
    )  # fmt: skip
    report = report_of(found, str(token), checked, threshold=threshold)
    screen.show(report, lines)
    return Exit.OK if report.valid else Exit.NO


def lines(report: "TokenReport") -> Iterator[str]:
    """Write a verdict for people."""
    word = "VALID" if report.valid else "NOT VALID"
    yield f"{word}: {', '.join(report.scopes)} for {printable(report.subject)}"
    for row in report.checks:
        yield f"  {'ok' if row.ok else 'NO':<3} {row.name}: {printable(row.text, 400)}"
    for kid in report.witnesses:
        yield f"  signed by witness {kid}"
