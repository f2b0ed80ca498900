"""`sakina answer`: a device's side of a verification."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import Exit, UsageError

if TYPE_CHECKING:
    from dunes.authority.agent import AgentServer


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """What was answered.

    Attributes:
        device: our name.
        kid: the key that signed.
        output: file of the answer; empty if challenges are answered on the network.
        address: where they are; empty for a file.
    """

    device: str
    kid: str
    output: str
    address: str


@command(schema="sakina.answer/1", report="sakina.commands.answer:AnswerReport")
def answer(
    screen: Screen,
    challenge: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A challenge that was carried here.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Where the answer goes; `-`: stdout."),
    ] = Path("-"),
    serve: Annotated[
        str,
        typer.Option("--serve", metavar="HOST:PORT", help="Answer on the network until Ctrl-C."),
    ] = "",
) -> int:
    """Answer a challenge with this device's own key, from a file or on the network."""
    from dunes.authority.challenge import answer as answer_to
    from dunes.clock import SYSTEM_CLOCK, US_PER_S
    from dunes.commands.markup_keys import read_file, write_file
    from dunes.crypto.identity import load_identity
    from dunes.paths import find_paths

    if (challenge is None) == (not serve):
        raise UsageError(
            "give a challenge's file, or an address to serve", hint="--serve HOST:7043"
        )
    identity = load_identity(find_paths())

    def answered(data: bytes) -> bytes:
        now_s = SYSTEM_CLOCK.unix_us() / US_PER_S
        return answer_to(data, identity.name, identity.signing, now_s)

    if challenge is not None:
        write_file(output, answered(read_file(challenge)))
        if str(output) != "-":
            screen.show(AnswerReport(identity.name, identity.kid, str(output), ""), lines)
        return Exit.OK
    from dunes.authority.agent import AgentServer
    from dunes.errors import Unavailable
    from sakina.verification.prove import parse_agent

    where = parse_agent(serve, None)
    try:
        server = AgentServer(where.host, where.port, answered)
    except OSError as e:
        raise Unavailable(f"cannot listen at {serve}: {e.strerror}", hint="another port") from e
    address = f"{where.host}:{server.server_port}"
    screen.show(AnswerReport(identity.name, identity.kid, "", address), lines)
    return run(server)


def run(server: "AgentServer") -> int:
    """Serve until somebody ends the program."""
    import signal

    def end(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return Exit.OK
    finally:
        server.server_close()
    return Exit.OK


def lines(report: AnswerReport) -> Iterator[str]:
    """Tell what was done."""
    if report.address:
        yield f"{report.device} answers challenges at {report.address} with key {report.kid}"
    else:
        yield f"{report.output}: {report.device}'s answer, signed with key {report.kid}"
