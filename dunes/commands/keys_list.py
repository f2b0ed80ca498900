"""`dunes keys list` and `dunes keys show`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit

if TYPE_CHECKING:
    from dunes.crypto.keyfile import KeyDocument


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key.

    Attributes:
        kid: its id.
        name: of its owner.
        what: identity, retired or trusted.
        roles: what it is believed for.
        status: active, verify-only, expired or revoked.
        algorithm: of its signatures.
        seals: something can be sealed to it.
        lock: how the private keys are locked; empty for keys of others.
        created_at: as written.
        not_after: as written; empty if open.
        version: higher with each rotation.
        entropy: where the randomness came from, as its document says.
        document: the public key document; only `show` fills it.
    """

    kid: str
    name: str
    what: str
    roles: tuple[str, ...]
    status: str
    algorithm: str
    seals: bool
    lock: str
    created_at: str
    not_after: str
    version: int
    entropy: dict[str, Any]
    document: str = ""


@dataclass(frozen=True, slots=True)
class KeysReport:
    """The keys of this place.

    Attributes:
        folder: where they are kept.
        keys: all of them.
    """

    folder: str
    keys: tuple[KeyRow, ...]


def row(
    document: "KeyDocument",
    what: str,
    *,
    roles: tuple[str, ...] = (),
    ended: str = "",
    text: bool = False,
) -> KeyRow:
    """Describe a key document."""
    return KeyRow(
        kid=document.kid,
        name=document.name,
        what=what,
        roles=roles or ((document.role,) if document.role else ()),
        status=ended or document.status,
        algorithm=document.algorithm,
        seals=document.recipient is not None,
        lock=document.lock,
        created_at=document.created_at,
        not_after=document.not_after,
        version=document.version,
        entropy=dict(document.entropy),
        document=document.data.decode("utf-8") if text and not document.private else "",
    )


def table(report: KeysReport) -> Iterator[str]:
    """Write a line per key."""
    if not report.keys:
        yield f"no keys in {printable(report.folder)}; make one with: dunes keygen"
        return
    rows = [
        [key.kid, key.what, printable(key.name), ", ".join(key.roles), key.status]
        for key in report.keys
    ]
    yield from table_lines(["KID", "WHAT", "NAME", "ROLES", "STATUS"], rows)


def details(report: KeysReport) -> Iterator[str]:
    """Write one key in full."""
    for key in report.keys:
        yield f"kid      {key.kid}"
        yield f"what     {key.what}, version {key.version}"
        yield f"owner    {printable(key.name)} ({printable(', '.join(key.roles)) or 'no role'})"
        yield f"key      {key.algorithm}, {key.status}"
        yield f"made     {printable(key.created_at)}"
        if key.not_after:
            yield f"ends     {printable(key.not_after)}"
        if key.lock:
            yield f"lock     {key.lock}"
        if key.entropy:
            import json

            yield f"entropy  {printable(json.dumps(key.entropy))}"
        if not key.seals:
            yield "sealing  nothing can be sealed to it"


@command(schema="dunes.keys/1", report="dunes.commands.keys_list:KeysReport")
def list_(screen: Screen) -> int:
    """List this place's keys and those it trusts."""
    from dunes.clock import SYSTEM_CLOCK
    from dunes.crypto import identity
    from dunes.crypto.truststore import TrustStore
    from dunes.errors import NotFound
    from dunes.paths import find_paths

    paths, now_us = find_paths(), SYSTEM_CLOCK.unix_us()
    rows = []
    try:
        rows.append(row(identity.load_document(identity.identity_path(paths)), "identity"))
    except NotFound:
        screen.detail("no identity yet")
    own = {each.kid for each in rows}
    rows += [
        row(document, "retired")
        for document in identity.load_retired(paths)
        if document.kid not in own
    ]
    for entry in TrustStore.at(paths):
        ended = "revoked" if entry.revoked else "" if entry.believed(now_us) else "expired"
        roles = tuple(sorted(entry.roles))
        rows.append(row(entry.document, "trusted", roles=roles, ended=ended))
    screen.show(KeysReport(str(paths.keys), tuple(rows)), table)
    return Exit.OK


@command(schema="dunes.keys/1", report="dunes.commands.keys_list:KeysReport")
def show(
    screen: Screen,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KID|FILE", help="A kid, its first digits, or a document; default: identity."
        ),
    ] = "",
) -> int:
    """Show one key: the identity, a trusted one by kid, or a document."""
    from dunes.crypto.keyring import find_document
    from dunes.paths import find_paths

    paths = find_paths()
    document, what = find_document(paths, key)
    screen.show(KeysReport(str(paths.keys), (row(document, what, text=True),)), details)
    return Exit.OK
