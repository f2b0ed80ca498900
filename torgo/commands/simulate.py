"""`torgo simulate`: flood traffic over a plan, packet by packet."""

from typing import Annotated

import typer

from dunes.console import Screen, command
from dunes.errors import UsageError
from torgo.commands import options as o

MOST_MESSAGES = 1_000_000


@command(schema="torgo.simulate/1", report="torgo.simulate:Simulation")
def simulate(
    screen: Screen,
    plan: o.PlanFile = None,
    rate: Annotated[
        str | None,
        typer.Option("--rate", metavar="RATE", help="Telemetry of all nodes, e.g. 4/s."),
    ] = None,
    duration: Annotated[
        str, typer.Option("--duration", metavar="DURATION", help="How long traffic lasts.")
    ] = "60s",
    fail: Annotated[
        str | None,
        typer.Option(
            "--fail", metavar="SHARE", help="Nodes that are down from the start, e.g. 20%."
        ),
    ] = None,
    alerts: Annotated[
        str | None, typer.Option("--alerts", metavar="RATE", help="Alerts on top, e.g. 6/min.")
    ] = None,
    sir: Annotated[
        str | None,
        typer.Option("--sir", metavar="RATIO", help="Capture threshold; default 12dB."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option("--loss", metavar="SHARE", help="Packets that others of the band destroy."),
    ] = None,
    host_delay: Annotated[
        str | None,
        typer.Option("--host-delay", metavar="DURATION", help="Of the nodes; default 2.5ms."),
    ] = None,
    seed: o.Seed = 1,
) -> int | None:
    """Flood traffic over a plan: delivery, latency, airtime, energy."""
    from dataclasses import replace

    from dunes.units import duration_s
    from torgo.commands import files
    from torgo.failures import failure_order
    from torgo.quantities import margin_db, rate_per_s, share
    from torgo.reports import simulation_lines
    from torgo.simulate import simulate as run

    network = files.load_plan(plan)
    rate_s = network.capacity.telemetry_msg_per_s if rate is None else rate_per_s(rate)
    length_s = duration_s(duration)
    if length_s <= 0 or rate_s * length_s > MOST_MESSAGES:
        raise UsageError(
            f"--duration {duration} at {rate_s:.3g}/s is not 1 to {MOST_MESSAGES:,} messages",
            hint="--duration 60s",
        )
    stack = network.stack
    if sir is not None:
        stack = replace(stack, sir_db=margin_db(sir))
    if loss is not None:
        stack = replace(stack, loss=share(loss))
    if host_delay is not None:
        stack = replace(stack, host_delay_us=round(duration_s(host_delay) * 1e6))
    count = round(share(fail) * len(network.nodes)) if fail is not None else 0
    failed = failure_order(network, "random", seed)[:count]
    forever = [(0, 1 << 62)]
    with screen.progress("simulating", length_s, "s") as bar:
        outcome, _ = run(
            network,
            rate_msg_per_s=rate_s,
            duration_s=length_s,
            seed=seed,
            down=dict.fromkeys(failed, forever),
            alert_rate_msg_per_s=0.0 if alerts is None else rate_per_s(alerts),
            stack=stack,
            told=lambda now_s: bar.update(min(now_s, length_s)),
        )
    screen.show(outcome, lambda found: simulation_lines(found, screen.verbose))
    return None
