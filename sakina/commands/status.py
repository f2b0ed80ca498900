"""`sakina status`: identity, policies, trust, the record of decisions: at one look."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable, table_lines
from dunes.errors import Exit

if TYPE_CHECKING:
    from sakina.trust import StatusReport


@command(schema="sakina.status/1", report="sakina.trust:StatusReport")
def status(
    screen: Screen,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Add the trust ledger up anew from the whole log."),
    ] = False,
) -> int:
    """Show how trust stands here: keys, policies, standings, the record of decisions.

    Exit 1 if the record of decisions is not whole, or the policies were changed by hand.
    """
    from dunes.authority.audit import AuditTrail
    from dunes.authority.auditread import read_audit
    from dunes.authority.ledger import load_ledger
    from dunes.authority.ledger import replay as add_up
    from dunes.authority.store import is_logged, read_local
    from dunes.clock import SYSTEM_CLOCK
    from dunes.crypto.identity import public_documents
    from dunes.crypto.truststore import TrustStore
    from dunes.paths import find_paths
    from sakina.authorities import NOBODY, own_kid
    from sakina.trust import StatusReport, rows_of

    paths = find_paths()
    ledger = add_up(paths) if replay else load_ledger(paths)
    store = TrustStore.at(paths)
    document, _ = read_local(paths)
    find = {each.kid: each.verify_key for each in public_documents(paths)}.get
    audit = read_audit(AuditTrail.at(paths).folder, find, last=0)
    kid = own_kid(paths)
    folder = store.folder
    report = StatusReport(
        "" if kid == NOBODY else kid,
        sum(1 for _ in folder.glob("*.json")) if folder.is_dir() else 0,
        len(store.device_names()),
        document.version,
        is_logged(paths),
        sum(rule.effect == "deny" for rule in document.rules),
        rows_of(ledger, SYSTEM_CLOCK.unix_us()),
        len(ledger.revoked),
        ledger.events,
        audit.last_no,
        audit.intact if audit.lines else None,
        audit.sealed_no,
    )
    screen.show(report, lines)
    wrong = report.decisions_intact is False or report.policies_signed is False
    return Exit.NO if wrong else Exit.OK


def lines(report: "StatusReport") -> Iterator[str]:
    """Write it for people."""
    yield f"identity   {report.kid or 'none yet: dunes keygen'}"
    yield f"trusted    {report.trusted} keys, {report.devices} of devices"
    signed = {None: "", True: ", signed", False: ", CHANGED BY HAND since signed"}
    yield (
        f"policies   version {report.policies}{signed[report.policies_signed]}, "
        f"{report.restrictions} restrictions"
    )
    whole = {None: "nothing decided yet", True: "whole", False: "NOT WHOLE"}
    yield (
        f"decisions  {report.decisions}, {whole[report.decisions_intact]}, signed up to "
        f"{report.decisions_signed}"
    )
    yield f"ledger     {report.ledger_events} events, {report.revoked_tokens} tokens revoked"
    if report.trust:
        yield ""
        yield from table_lines(
            ["SUBJECT", "SCORE", "PROOFS", "FAILED", "REPLAYS", "BAD MICS", "QUARANTINE"],
            [
                [
                    printable(row.subject, 40), f"{row.score:.2f}", str(row.verified),
                    str(row.failed), str(row.replays), str(row.bad_mics),
                    printable(row.quarantined, 60) or "-",
                ]
                for row in report.trust
            ],
        )  # fmt: skip
