"""`sakina verify`: are the devices of a scope who they say they are?"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, UsageError
from dunes.units import duration_s

if TYPE_CHECKING:
    from sakina.verification.engine import Asking, Verifier
    from sakina.verification.verdict import VerifyReport

LIFETIME = "7 days"


@command(schema="sakina.verify/1", report="sakina.verification.verdict:VerifyReport")
def verify(
    screen: Screen,
    scope: Annotated[
        str, typer.Option("--scope", metavar="SCOPE", help="Which scope they are to have.")
    ],
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device", metavar="NAME", help="Whom; repeatable. [default: all of the scope]"
        ),
    ] = None,
    agent: Annotated[
        str,
        typer.Option(
            "--agent", metavar="HOST:PORT", help="Where the device's `sakina answer` listens."
        ),
    ] = "",
    challenge: Annotated[
        Path | None,
        typer.Option(
            "--challenge",
            metavar="FILE",
            help="Write a challenge to carry to the device, and end; it is good for 7 days.",
        ),
    ] = None,
    answer: Annotated[
        Path | None,
        typer.Option("--answer", metavar="FILE", help="The answer that came back to it."),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option("--token", metavar="FILE", help="A token that the device brings along."),
    ] = None,
    receipt: Annotated[
        Path | None,
        typer.Option("--receipt", metavar="FILE.mu", help="Write the verdict as a receipt."),
    ] = None,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long one device may take to answer.")
    ] = "5s",
) -> int:
    """Verify that devices are who they say they are, and have a scope: PASS or FAIL.

    What a device can prove is said as a level: `challenge` (it signed fresh bytes with its
    trusted key), `mesh` (it answered under its device key in the mesh), `enrolled` (a key is
    trusted, nothing was proved), `seen` (readings came under its name). A scope says which
    level it needs; `mesh` if it says nothing.
    """
    from dunes.settings import load
    from dunes.site import running_site
    from sakina.verification.engine import Asking, open_verifier
    from sakina.verification.meshnodes import find_mesh
    from sakina.verification.prove import parse_agent

    names = list(device or [])
    if (challenge or answer or agent or token) and len(names) != 1:
        raise UsageError("name the one device that this is about", hint="--device NAME")
    settings = load()
    site = running_site(settings.paths)
    if challenge is not None:
        return write_challenge(screen, names[0], challenge)
    verifier = open_verifier(settings, scope, site, find_mesh(settings))
    asking = Asking(timeout_s=duration_s(timeout))
    if agent:
        asking.agent = parse_agent(agent, site)
    if answer is not None:
        take_answer(verifier, asking, names[0], answer)
    if token is not None:
        asking.tokens[names[0]] = read_text(token)
    report = verifier.run(names, asking)
    put_on_record(verifier, report, receipt)
    screen.show(report, lines)
    return Exit.OK if report.passed else Exit.NO


def write_challenge(screen: Screen, device: str, path: Path) -> int:
    """Write a challenge for a device that no network reaches, and remember it."""
    from dunes.authority.challenge import FILE_LIFETIME_S
    from dunes.clock import SYSTEM_CLOCK
    from dunes.commands.markup_keys import write_file
    from dunes.paths import find_paths
    from sakina.authorities import own_kid
    from sakina.verification.handed import new_challenge

    paths = find_paths()
    made = new_challenge(paths, device, own_kid(paths), SYSTEM_CLOCK, FILE_LIFETIME_S)
    write_file(path, made.encode())
    if str(path) != "-":
        screen.note(f"carry {path} to {device}; there: sakina answer {path}; good for {LIFETIME}")
    return Exit.OK


def take_answer(verifier: "Verifier", asking: "Asking", device: str, path: Path) -> None:
    """Take an answer that was carried back; its challenge is used up by it."""
    from dunes.commands.markup_keys import read_file
    from sakina.verification.handed import spend_challenge

    data = read_file(path)
    asking.answers[device] = spend_challenge(verifier.settings.paths, data), data


def read_text(path: Path) -> str:
    """Read a token's file."""
    from dunes.commands.markup_keys import read_file

    return read_file(path).decode("utf-8", "replace")


def put_on_record(verifier: "Verifier", report: "VerifyReport", receipt: Path | None) -> None:
    """Tell the trust ledger, and write the receipt that was asked for."""
    from dunes.authority.ledger import append_events
    from dunes.authority.record import Recorder

    events = verifier.evidence()
    if not events and receipt is None:
        return
    settings = verifier.settings
    recorder = Recorder.at(settings.paths, settings["gateway.id"] or "gateway")
    if events:
        append_events(recorder, events)
        report.recorded = len(events)
    if receipt is not None:
        from dunes.commands.markup_keys import write_file
        from sakina.verification.receipt import issue_receipt

        report.receipt = str(receipt)
        write_file(receipt, issue_receipt(recorder, report))


def lines(report: "VerifyReport") -> Iterator[str]:
    """Write the verdicts for people."""
    for verdict in report.devices:
        word = "PASS" if verdict.passed else "FAIL"
        mark = " (simulated)" if verdict.simulated else ""
        yield f"{word}  {verdict.device}{mark}: {verdict.level}: {verdict.meaning}"
        for finding in verdict.findings:
            yield f"  {'ok' if finding.ok else 'NO':<3} {finding.name}: {printable(finding.text)}"
    good = sum(verdict.passed for verdict in report.devices)
    yield f"{report.scope}: {good} of {len(report.devices)} passed"
    if report.receipt:
        yield f"receipt: {report.receipt}"
