"""`dunes keys trust` and `dunes keys revoke`: whose keys are believed here."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.crypto.keyfile import KeyDocument
    from dunes.crypto.truststore import Role, TrustStore


@dataclass(frozen=True, slots=True)
class TrustReport:
    """A change of the trust store.

    Attributes:
        kid: whose key.
        name: of its owner, by its document.
        roles: what it is believed for now.
        follows: kid of the trusted key that signed it as its successor; empty if none.
        revoked: the reason it is believed no longer; empty if it is.
        written: false under `--dry-run`.
    """

    kid: str
    name: str
    roles: tuple[str, ...]
    follows: str
    revoked: str
    written: bool = True


def lines(report: TrustReport) -> Iterator[str]:
    """Tell what is believed now."""
    who = f"{report.kid} ({printable(report.name) or 'no name'})"
    if not report.written:
        yield f"would revoke {who}"
        return
    if report.revoked:
        yield f"revoked {who}: {printable(report.revoked)}"
        return
    yield f"trusted {who} as {', '.join(report.roles)}"
    if report.follows:
        yield f"it follows {report.follows}, which signed it"


@command(schema="dunes.keys-trust/1", report="dunes.commands.keys_trust:TrustReport")
def trust(
    screen: Screen,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A public key document, NAME.pub.maml.")
    ],
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role",
            metavar="gateway|ground-station|device|operator",
            help="What to believe it for; repeatable; default: what the document says.",
        ),
    ] = None,
    kid: Annotated[
        str,
        typer.Option(
            "--kid", metavar="KID", help="Its id, as its owner read it to you: no question then."
        ),
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Believe it without comparing its kid.")
    ] = False,
) -> int:
    """Believe somebody's key from now on, for the roles that are named."""
    from dunes.clock import SYSTEM_CLOCK
    from dunes.crypto import keyio
    from dunes.crypto.keyfile import read_key_document
    from dunes.crypto.truststore import Role, TrustStore
    from dunes.paths import find_paths

    document = read_key_document(keyio.read_public(file))
    now_us = SYSTEM_CLOCK.unix_us()
    store = TrustStore.at(find_paths())
    try:
        roles = [Role(name) for name in role or ([document.role] if document.role else [])]
    except ValueError as e:
        raise UsageError(str(e), hint=f"--role {Role.GATEWAY}") from e
    if not roles:
        raise UsageError("the document names no role", hint=f"--role {Role.GATEWAY}")
    follows = store.successor_of(document, now_us)
    if follows is None or not set(roles) <= follows.roles:
        confirm(screen, document, kid, yes=yes)
    warn_of_namesake(screen, store, document, roles)
    entry = store.add(document.data, roles, now_us)
    screen.show(
        TrustReport(
            kid=entry.kid,
            name=document.name,
            roles=tuple(sorted(entry.roles)),
            follows=follows.kid if follows else "",
            revoked="",
        ),
        lines,
    )
    return Exit.OK


def warn_of_namesake(
    screen: Screen, store: "TrustStore", document: "KeyDocument", roles: "list[Role]"
) -> None:
    """Tell that a device's name is another key's so far: the new one takes it over."""
    from dunes.crypto.errors import UnknownKey
    from dunes.crypto.truststore import Role

    if Role.DEVICE not in roles:
        return
    try:
        kid = store.device(document.name).kid
    except UnknownKey:
        return
    if kid != document.kid and kid not in document.supersedes:
        screen.warn(f"{document.name} was key {kid} so far; from now on it is {document.kid}")


def confirm(screen: Screen, document: "KeyDocument", kid: str, *, yes: bool) -> None:
    """Let a person compare the kid, unless it was given.

    Raises:
        UsageError: another kid than was expected, or nobody can be asked.
    """
    if kid:
        if kid.lower() != document.kid:
            raise UsageError(f"the document's key is {document.kid}, not {kid[:40]}")
        return
    if yes:
        screen.warn(f"key {document.kid} was not compared with what its owner says")
        return
    if not screen.may_ask:
        raise UsageError(
            f"compare the key id {document.kid} with its owner's first",
            hint=f"--kid {document.kid}, or --yes",
        )
    owner = printable(document.name) or "somebody"
    screen.note(f"{owner} should have told you this kid: {document.kid}")
    typer.confirm("Is it the same?", abort=True, err=True)


@command(schema="dunes.keys-trust/1", report="dunes.commands.keys_trust:TrustReport")
def revoke(
    screen: Screen,
    kid: Annotated[str, typer.Argument(metavar="KID", help="The whole kid.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for those who look later.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say whose key it is; go on believing it.")
    ] = False,
) -> int:
    """Believe a key no longer, for good."""
    from dunes.crypto.truststore import TrustStore
    from dunes.paths import find_paths

    store = TrustStore.at(find_paths())
    entry = store.get(kid) if dry_run else store.revoke(kid, reason[:200])
    screen.show(
        TrustReport(
            kid=entry.kid,
            name=entry.document.name,
            roles=tuple(sorted(entry.roles)),
            follows="",
            revoked=entry.revoked,
            written=not dry_run,
        ),
        lines,
    )
    return Exit.OK
