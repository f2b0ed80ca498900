"""`sakina wallet-init|show|add|export`: identities, grants and receipts in one document."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from sakina.wallet.content import Wallet
    from sakina.wallet.keeping import Keeper

WalletFile = Annotated[
    Path | None,
    typer.Option("--wallet", metavar="FILE", help="The wallet. [default: wallet.md beside the"
                 " configuration]"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class WalletRow:
    """One thing in a wallet.

    Attributes:
        kind: identity, grant, receipt or secret.
        name: whose, of what, or what it is called.
        text: the rest, for people; never a secret.
    """

    kind: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class WalletReport:
    """A wallet.

    Attributes:
        file: where it is.
        id: its address.
        owner: whose.
        kid: the owner's key.
        signed_by: key id that signed it, if that is believed here; empty otherwise.
        changed_at: RFC 3339.
        blocks: entries of the owner's transparency log when it was written.
        items: what it holds.
    """

    file: str
    id: str
    owner: str
    kid: str
    signed_by: str
    changed_at: str
    blocks: int
    items: tuple[WalletRow, ...]


def report_of(file: Path, wallet: "Wallet", signed_by: str) -> WalletReport:
    """Describe a wallet."""
    items = [
        WalletRow("identity", each.name, f"key {each.kid}, {', '.join(each.roles)}, "
                  f"{each.reputation:.2f}")
        for each in wallet.identities
    ]  # fmt: skip
    items += [
        WalletRow("grant", each.subject, f"{', '.join(each.scopes)} until {each.until or 'open'}")
        for each in wallet.grants
    ]
    items += [
        WalletRow("receipt", each.file, f"of {each.source}, {each.issued_at}")
        for each in wallet.receipts
    ]
    items += [
        WalletRow("secret", each.name, f"sealed to key {each.kid}") for each in wallet.secrets
    ]
    return WalletReport(
        str(file), wallet.id, wallet.owner, wallet.kid, signed_by, wallet.changed_at,
        wallet.blocks, tuple(items),
    )  # fmt: skip


def lines(report: WalletReport) -> Iterator[str]:
    """Write a wallet for people."""
    signed = f"signed by {report.signed_by}" if report.signed_by else "signed by a stranger"
    yield f"{report.file}: wallet of {printable(report.owner)}, {signed}"
    for item in report.items:
        yield f"  {item.kind:<9} {printable(item.name)}: {printable(item.text, 200)}"


def keeper(path: Path | None) -> "Keeper":
    """Open this place's identity, and point at its wallet."""
    from dunes.crypto.identity import load_identity
    from dunes.paths import find_paths
    from sakina.wallet.keeping import Keeper, wallet_path

    paths = find_paths()
    return Keeper(paths, wallet_path(paths, path), load_identity(paths))


@command(schema="sakina.wallet/1", report="sakina.commands.wallet:WalletReport")
def wallet_init(
    screen: Screen,
    wallet: WalletFile = None,
    import_: Annotated[
        Path | None,
        typer.Option(
            "--import", metavar="FILE", help="Take the network's name from a wallet of others."
        ),
    ] = None,
    drop_secrets: Annotated[
        bool, typer.Option("--drop-secrets", help="Leave behind what stands there in clear.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace one that is there.")] = False,
) -> int:
    """Begin a wallet: a signed Markdown document with this place's identity in it."""
    from dunes.settings import load

    kept = keeper(wallet)
    network = load(paths=kept.paths)["mesh.id"]
    if import_ is not None:
        from sakina.wallet.foreign import read_foreign
        from sakina.wallet.keeping import read_file

        foreign = read_foreign(read_file(import_), drop_secrets=drop_secrets)
        network = foreign.network or network
        if foreign.agents:
            names = printable(", ".join(foreign.agents[:10]), 300)
            screen.note(f"{len(foreign.agents)} vials have names and no keys: {names}")
        if foreign.balance:
            screen.note("its balance is left behind: a wallet here holds no money")
    made = kept.begin(network, force=force)
    screen.show(report_of(kept.path, made, made.kid), lines)
    return Exit.OK


@command(schema="sakina.wallet/1", report="sakina.commands.wallet:WalletReport")
def wallet_show(screen: Screen, wallet: WalletFile = None) -> int:
    """Show what a wallet holds, and check its signature; secrets stay sealed.

    Exit 1 if the key that signed it is not believed here.
    """
    from dunes.clock import SYSTEM_CLOCK
    from dunes.paths import find_paths
    from sakina.authorities import load_authorities
    from sakina.wallet.document import read_wallet
    from sakina.wallet.keeping import read_file, wallet_path

    paths = find_paths()
    path = wallet_path(paths, wallet)
    authorities, _ = load_authorities(paths, SYSTEM_CLOCK.unix_us())
    found, signed_by = read_wallet(read_file(path), authorities.find)
    screen.show(report_of(path, found, signed_by), lines)
    return Exit.OK if signed_by else Exit.NO


@command(schema="sakina.wallet/1", report="sakina.commands.wallet:WalletReport")
def wallet_add(
    screen: Screen,
    identity: Annotated[
        list[str] | None,
        typer.Option("--identity", metavar="NAME|KID", help="A trusted key; repeatable."),
    ] = None,
    grants: Annotated[
        list[str] | None,
        typer.Option(
            "--grants", metavar="SUBJECT", help="What policies give device:NAME, key:KID, …"
        ),
    ] = None,
    receipt: Annotated[
        list[Path] | None,
        typer.Option("--receipt", metavar="FILE.mu", help="A receipt; repeatable."),
    ] = None,
    secret: Annotated[
        str, typer.Option("--seal", metavar="NAME", help="A secret, sealed before it is kept.")
    ] = "",
    secret_file: Annotated[
        Path,
        typer.Option("--secret-file", metavar="FILE|-", help="Where the secret is; `-`: stdin."),
    ] = Path("-"),
    wallet: WalletFile = None,
) -> int:
    """Put identities, grants, receipts and sealed secrets into the wallet."""
    from dunes.commands.markup_keys import read_file
    from dunes.secrets import parse_secret
    from sakina.wallet.keeping import add

    if not any((identity, grants, receipt, secret)):
        raise UsageError("say what goes in", hint="--identity NAME, --receipt FILE.mu")
    kept = keeper(wallet)
    changes: dict[str, Any] = {
        "identities": [kept.identity_of(name) for name in identity or ()],
        "grants": [held for subject in grants or () for held in kept.grants_of(subject)],
        "receipts": [kept.receipt_of(path) for path in receipt or ()],
    }
    if secret:
        text = parse_secret(read_file(secret_file), str(secret_file))
        changes["secrets"] = [kept.seal(secret, text)]
    for subject in grants or ():
        if not any(held.subject == subject for held in changes["grants"]):
            screen.warn(f"no policy gives {printable(subject, 80)} anything by name")
    with kept.locked():
        done = kept.save(add(kept.load(), {k: v for k, v in changes.items() if v}))
    screen.show(report_of(kept.path, done, done.kid), lines)
    return Exit.OK


@command(schema="sakina.wallet/1", report="sakina.commands.wallet:WalletReport")
def wallet_export(
    screen: Screen,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where it goes; `-`: stdout.")
    ],
    secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Take the sealed secrets along, sealed.")
    ] = False,
    secret: Annotated[
        str,
        typer.Option(
            "--unseal", metavar="NAME", help="Instead: open one secret into FILE (mode 0600)."
        ),
    ] = "",
    wallet: WalletFile = None,
) -> int:
    """Write a signed copy of the wallet for others, without its secrets."""
    from dataclasses import replace

    from dunes.commands.markup_keys import write_file
    from sakina.wallet.document import write_wallet

    kept = keeper(wallet)
    found = kept.load()
    if secret:
        if str(output) == "-":
            raise UsageError("a secret goes into a file, not onto a screen", hint="--output FILE")
        from dunes.crypto import keyio

        opened = kept.unseal(found, secret)
        keyio.write_new(output, opened.reveal().encode("utf-8") + b"\n")
        screen.note(f"{output}: secret {secret}, readable by you alone")
        return Exit.OK
    shared = found if secrets else replace(found, secrets=())
    shared = replace(shared, kid=kept.identity.kid)
    write_file(output, write_wallet(shared, kept.identity.signing))
    if str(output) != "-":
        screen.show(report_of(output, shared, shared.kid), lines)
    return Exit.OK
