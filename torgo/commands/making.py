"""What the commands that make plans share: from options to a wish, a search, files."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dunes import __version__
from dunes.console import Screen
from dunes.errors import Exit, UsageError
from torgo.commands import files
from torgo.errors import Impossible

if TYPE_CHECKING:
    from torgo.environment import Environment
    from torgo.plan import Plan
    from torgo.reports import Written
    from torgo.wish import Draft, Wish

SVG_LIMIT = 5_000
"""Above so many nodes no picture is drawn unless it is asked for."""
PROVE_DRAWS = 1_000
UPTIME_LIMIT = 1_000
"""Above so many nodes uptime is left to `torgo prove`."""
REHEARSE_S = 3_600.0
STEP_S = 60.0


@dataclass(slots=True)
class Asked:
    """What the options said.

    Attributes:
        command: the torgo command.
        env: name or file of the environment.
        redundancy: or None for the environment's.
        nodes: or None.
        gateways: or None.
        range_: text, e.g. `1000m`.
        hops_max: or None.
        obstacles: static or dynamic, or None for the project's.
        layout: file of positions.
        links: file of measured signal strengths.
        tx_power: text; `auto` for the lowest that does.
        antenna_height: text.
        gain: text.
        margin: text.
        exponent: of the distance, indoors.
        iterations: of the search, or None.
        seed: of all dice.
        name: of the plan.
    """

    command: str
    env: str | None = None
    redundancy: int | None = None
    nodes: int | None = None
    gateways: int | None = None
    range_: str | None = None
    hops_max: int | None = None
    obstacles: str | None = None
    layout: str | None = None
    links: str | None = None
    tx_power: str | None = None
    antenna_height: str | None = None
    gain: str | None = None
    margin: str | None = None
    exponent: float | None = None
    iterations: int | None = None
    seed: int = 1
    name: str | None = None
    options: set[str] = field(default_factory=set)


class Stop:
    """Notes Ctrl-C, so that work ends in good order; a second one ends it at once."""

    def __init__(self) -> None:
        self.wanted = False

    def check(self, _: float = 0.0) -> None:
        """Stop here if somebody wants it."""
        if self.wanted:
            raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Turn Ctrl-C into a wish to stop while the block runs."""
    stop = Stop()
    before = signal.getsignal(signal.SIGINT)

    def note(_signal: int, _frame: Any) -> None:
        stop.wanted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def check_counts(asked: Asked) -> None:
    """Refuse numbers that no mesh can have.

    Raises:
        UsageError: which, and what is possible.
    """
    from torgo.environment import MOST_NODES

    if asked.nodes is not None and not 2 <= asked.nodes <= MOST_NODES:  # noqa: PLR2004 - a mesh
        raise UsageError(
            f"--nodes {asked.nodes}: a Bluetooth mesh has 2 to {MOST_NODES:,} nodes",
            hint="several networks, joined by their gateways, carry more",
        )
    for name, value, least in (
        ("--redundancy", asked.redundancy, 1),
        ("--gateways", asked.gateways, 1),
        ("--hops-max", asked.hops_max, 1),
        ("--iterations", asked.iterations, 0),
    ):
        if value is not None and value < least:
            raise UsageError(f"{name} {value} is below {least}", hint=f"give {least} or more")
    if asked.hops_max is not None and asked.hops_max > 127:  # noqa: PLR2004 - largest TTL
        raise UsageError(f"--hops-max {asked.hops_max}: a TTL reaches 127 hops at most")
    if asked.obstacles not in {None, "static", "dynamic"}:
        raise UsageError(f"--obstacles {str(asked.obstacles)[:40]!r}: choose static or dynamic")


def shape_environment(  # noqa: C901 - one branch for each option
    asked: Asked, project: dict[str, Any]
) -> "Environment":
    """Work the options into the environment."""
    from dunes.units import length_m
    from torgo.environment import with_height, with_range
    from torgo.quantities import gain_dbi, margin_db, power_dbm

    env = files.load_environment(asked.env or project.get("environment") or "lunar-hab")
    radio, air = env.radio, env.propagation
    if asked.tx_power is not None and asked.tx_power != "auto":
        radio = replace(radio, tx_power_dbm=power_dbm(asked.tx_power))
        asked.options.add("radio.tx_power_dbm")
    if asked.gain is not None:
        radio = replace(radio, antenna_gain_dbi=gain_dbi(asked.gain))
        asked.options.add("radio.antenna_gain_dbi")
    if asked.margin is not None:
        radio = replace(radio, margin_db=margin_db(asked.margin))
        asked.options.add("radio.margin_db")
    elif "margin_db" in project:
        radio = replace(radio, margin_db=float(project["margin_db"]))
        asked.options.add("radio.margin_db")
    if asked.exponent is not None:
        if not 1 <= asked.exponent <= 8:  # noqa: PLR2004 - 2 is free space, 6 a dense building
            raise UsageError(f"--exponent {asked.exponent:g} is not between 1 and 8")
        air = replace(air, model="log-distance", exponent=asked.exponent)
        asked.options.add("propagation")
    env = replace(env, radio=radio, propagation=air)
    if asked.antenna_height is not None:
        height = length_m(asked.antenna_height)
        if not 0.01 <= height <= 1000:  # noqa: PLR2004 - no mast is higher
            raise UsageError(f"--antenna-height {asked.antenna_height} is not 1 cm to 1 km")
        env = with_height(env, height)
        asked.options.update(f"kinds.{kind.name}" for kind in env.kinds if kind.relay)
    if asked.range_ is not None:
        radius = length_m(asked.range_)
        if not 1 <= radius <= 100_000:  # noqa: PLR2004 - beyond, the ground is not flat
            raise UsageError(f"--range {asked.range_}: the radius of a site is 1 m to 100 km")
        env = with_range(env, radius)
        asked.options.add("area.radius_m")
    return env


def make_wish(asked: Asked, project: dict[str, Any]) -> "Wish":
    """Turn options, the project file and input files into a wish."""
    from torgo import survey
    from torgo.wish import Wish

    check_counts(asked)
    env = shape_environment(asked, project)
    nodes = asked.nodes or project.get("base_nodes") or env.defaults.nodes
    gateways = asked.gateways or env.gateways.count
    if asked.nodes is not None:
        asked.options.add("nodes")
    if asked.gateways is not None:
        asked.options.add("gateways")
    rows = None
    layout = None
    if asked.links is not None:
        rows = survey.parse_rssi(files.read_text(Path(asked.links), "measurements"), asked.links)
    if asked.layout is not None:
        layout = survey.parse_layout(
            files.read_text(Path(asked.layout), "layout"), asked.layout, env.body
        )
    elif rows is not None:
        layout = survey.Layout(survey.draw_places(rows, env.area.radius_m))
    stations = None
    if layout is not None:
        if asked.nodes not in {None, len(layout.places)}:
            raise UsageError(
                f"--nodes {asked.nodes}, but the file has {len(layout.places)}",
                hint="leave out --nodes",
            )
        if layout.centre is not None:
            latitude, longitude = layout.centre
            area = replace(env.area, latitude_deg=latitude, longitude_deg=longitude)
            env = replace(env, area=area)
        stations = tuple(survey.settle(layout, env, gateways, asked.seed))
        nodes = len(stations)
        gateways = sum(station.kind == "gateway" for station in stations)
    if nodes < 2 or gateways >= nodes:  # noqa: PLR2004 - a mesh
        raise UsageError(f"{nodes} nodes with {gateways} gateways are no mesh")
    measured = (
        survey.number_links(rows, [s.id for s in stations], str(asked.links))
        if rows is not None and stations is not None
        else None
    )
    iterations = asked.iterations
    return Wish(
        env=env,
        redundancy=asked.redundancy or env.defaults.redundancy,
        nodes=nodes,
        gateways=gateways,
        hops_max=asked.hops_max or env.defaults.hops_max,
        iterations=default_iterations(nodes) if iterations is None else iterations,
        seed=asked.seed,
        layout=stations,
        measured=measured,
        drawn=asked.links is not None and asked.layout is None,
    )


def project_of(asked: Asked) -> dict[str, Any]:
    """Read the folder's project file; one that is for another environment says nothing."""
    project = files.read_project()
    if asked.env is not None and project.get("environment") not in {None, asked.env}:
        return {}
    return project


def default_iterations(nodes: int) -> int:
    """Choose the search's effort: what finds the optimum on small sites, less on vast ones."""
    return 2_000 if nodes <= 2_000 else 500  # noqa: PLR2004 - a step of vast sites costs more


def draft_or_refuse(screen: Screen, asked: Asked, wish: "Wish") -> "Draft | Written":
    """Make the draft of a wish, or the refusal with computed remedies."""
    from torgo.radio import farthest_m
    from torgo.remedies import explain_refusal, try_remedies
    from torgo.reports import Written
    from torgo.wish import judge, make_draft, with_least_power

    with screen.progress("links", unit="") as bar:
        bar.update(0)
        if asked.tx_power == "auto":
            wish = with_least_power(wish)
            asked.options.add("radio.tx_power_dbm")
        draft = make_draft(wish)
        judgement = judge(draft)
    if judgement.possible:
        return draft
    with screen.progress("looking for ways out", unit="") as bar:
        remedies = list(try_remedies(wish, lambda what: bar.update(0, note=what)))
    env = wish.env
    height = max(
        (kind.antenna_height_m for kind in env.kinds if kind.relay),
        default=env.gateways.antenna_height_m,
    )
    reach = farthest_m(env.radio, env.propagation, height, env.radio.budget_db)
    return Written(False, refusal=explain_refusal(draft, judgement, reach, remedies))


def search_plan(screen: Screen, plan: "Plan", iterations: int, keep: int, stop: Stop) -> "Plan":
    """Search for relays, showing progress; Ctrl-C ends it with the best so far."""
    from torgo.generate import Generator

    generator = Generator(plan, keep)
    with screen.progress("choosing relays", iterations, "iterations") as bar:
        for step in generator.search(iterations):
            bar.update(step.iteration)
            if stop.wanted:
                generator.interrupted = True
                break
    with screen.progress("proving the backbone") as bar:
        bar.update(0)
        return generator.plan()


def pace_and_prove(
    screen: Screen, plan: "Plan", stop: Stop, *, dynamic: bool
) -> "tuple[Plan, Written]":
    """Simulate the pace, rehearse what moves, and prove uptime; Ctrl-C ends it where it is."""
    from torgo.adapt import rehearse
    from torgo.calibrate import calibrate
    from torgo.prove import prove_uptime
    from torgo.reports import Written

    uptime = rehearsal = None
    try:
        stop.check()
        with screen.progress("simulating the pace", 1.0) as bar:
            plan = calibrate(plan, both(stop.check, bar.update))
        if len(plan.nodes) <= UPTIME_LIMIT:
            with screen.progress("proving uptime", PROVE_DRAWS, "draws") as bar:
                uptime = prove_uptime(
                    plan,
                    0.9999,
                    draws=PROVE_DRAWS,
                    seed=plan.request.seed,
                    told=both(stop.check, bar.update),
                )
        if dynamic:
            with screen.progress("rehearsing", REHEARSE_S, "s") as bar:
                rehearsal, _ = rehearse(
                    plan,
                    duration_s=REHEARSE_S,
                    step_s=STEP_S,
                    hops_max=plan.request.hops_max,
                    seed=plan.request.seed,
                    told=both(stop.check, bar.update),
                )
            plan = replace(plan, rehearsal=rehearsal)
    except KeyboardInterrupt:
        plan = replace(plan, search=replace(plan.search, interrupted=True))
    return plan, Written(True, uptime=uptime, rehearsal=rehearsal)


def both(*parts: Callable[[float], None]) -> Callable[[float], None]:
    """Call one after the other."""

    def call(value: float) -> None:
        for part in parts:
            part(value)

    return call


def write_files(
    plan: "Plan", output: Path, svg: str | None, html: str | None, *, pictures: bool
) -> list[str]:
    """Write the plan, and its pictures unless they are not wanted."""
    from torgo.exports.page import page
    from torgo.exports.svg import svg as draw
    from torgo.planfile import encode_plan

    written = [output]
    files.save(output, encode_plan(plan))
    drawn = pictures and len(plan.nodes) <= SVG_LIMIT
    for given, suffix in ((svg, ".svg"), (html, ".html")):
        if given is None and not drawn:
            continue
        path = Path(given) if given is not None else output.with_suffix(suffix)
        if suffix == ".svg":
            files.save(path, draw(plan).encode())
        else:
            script, style = files.page_assets()
            files.save(path, page(plan, script, style).encode())
        written.append(path)
    return [str(path) for path in written]


def finish(screen: Screen, plan: "Plan", report: "Written", written: list[str]) -> int:
    """Show what was made, and give the exit status."""
    from torgo.reports import summarise, written_lines

    notes = []
    if plan.search.interrupted:
        notes.append(
            f"interrupted after {plan.search.iterations} iterations: "
            "this is the best plan so far, and it is proven like any other"
        )
    if plan.proof.worst_hops > plan.request.hops_max:
        notes.append(
            f"note: after the worst losses some ways have {plan.proof.worst_hops} hops; "
            f"within --hops-max {plan.request.hops_max} not everyone is reached then"
        )
    screen.show(
        replace(
            report,
            plan=summarise(plan),
            files=written,
            assumptions=plan.assumptions,
            notes=[*report.notes, *notes],
        ),
        written_lines,
    )
    return Exit.INTERRUPTED if plan.search.interrupted else Exit.OK


def make_plan(
    screen: Screen,
    asked: Asked,
    output: str,
    svg: str | None,
    html: str | None,
    *,
    pictures: bool,
) -> int:
    """Do all of it: wish, draft, search, proof, files."""
    from torgo.generate import Labels, skeleton
    from torgo.reports import Written, written_lines

    project = project_of(asked)
    target = Path(output)
    files.check_output(target)
    asked.obstacles = asked.obstacles or project.get("obstacles", "static")
    wish = make_wish(asked, project)
    try:
        draft = draft_or_refuse(screen, asked, wish)
    except Impossible as e:
        e.hint = e.hint or "torgo environments lists sites that work"
        raise
    if isinstance(draft, Written):
        screen.show(draft, written_lines)
        return Exit.NO
    labels = Labels(
        asked.command,
        __version__,
        asked.name or project.get("mesh_id") or draft.wish.env.name,
        project.get("mesh_id"),
        frozenset(asked.options),
        asked.obstacles == "dynamic",
    )
    with stoppable() as stop:
        plan = search_plan(screen, skeleton(draft, labels), draft.wish.iterations, 0, stop)
        plan, report = pace_and_prove(screen, plan, stop, dynamic=labels.dynamic)
    written = write_files(plan, target, svg, html, pictures=pictures)
    return finish(screen, plan, report, written)
