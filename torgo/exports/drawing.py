"""The site as SVG elements, layer upon layer: what the picture and the page both show.

Shape says what a node is, darkness how much it matters, and each disjoint path has its
own dash pattern, so that nothing hangs on colour alone.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from torgo.coverage import CELLS, relays_heard
from torgo.explain import disjoint_paths
from torgo.exports.labels import Labels
from torgo.obstacles import Obstacle
from torgo.plan import Node, Plan

MAP = 820
"""Side of the map."""
MARGIN = 30
HEAD = 64
FULL_LIMIT = 1_500
"""Above so many nodes only the backbone's links are drawn."""
COVERAGE_LIMIT = 5_000
PATH_COLORS = (
    "#c8102e",
    "#6a3d9a",
    "#b35900",
    "#00695c",
    "#9c1a6d",
    "#4d4d00",
    "#1a237e",
    "#5d4037",
)
PATH_DASHES = ("", "9 4", "3 3", "12 3 3 3", "1 4", "15 5", "6 2 2 2 2 2", "4 8")
STYLE = """
text{font-family:system-ui,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:#111}
.title{font-size:22px;font-weight:700}.sub{font-size:13px;fill:#333}
.h{font-size:13px;font-weight:700}.t{font-size:12px}.s{font-size:10.5px;fill:#333}
.site{fill:#fff;stroke:#222;stroke-width:1.6}
.ring{fill:none;stroke:#b8b8b8;stroke-width:.7;stroke-dasharray:2 4}
.none{fill:#c9c9c9}.thin{fill:#e9e5da}
.access{stroke:#9aa3ad;stroke-width:.55;opacity:.55}.bone{stroke:#3b6ea5;stroke-width:1.25;opacity:.8}
.leaf{fill:#fff;stroke:#555;stroke-width:1.1}.sleepy{fill:#fff;stroke:#555;stroke-width:1.1}
.relay{fill:#1d4f8b;stroke:#fff;stroke-width:1.3}.gateway{fill:#111;stroke:#fff;stroke-width:1.6}
.cut{fill:none;stroke:#c8102e;stroke-width:2.2}.single{fill:none;stroke:#c8102e;stroke-width:3.4}
.obstacle{fill:url(#hatch);stroke:#444;stroke-width:1}.wall{stroke:#222;stroke-linecap:butt}
.case{fill:none;stroke:#fff;stroke-width:6;stroke-linejoin:round;opacity:.9}
.path{fill:none;stroke-width:3;stroke-linejoin:round}
.label{font-size:11px;font-weight:700}
.label,.note{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}
.note{font-size:9.5px;fill:#333}
.pass{fill:#0b5d1e;font-weight:700}.fail{fill:#c8102e;font-weight:700}
"""
HATCH = (
    '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="6" height="6" fill="#ddd"/>'
    '<line x1="0" y1="0" x2="0" y2="6" stroke="#555" stroke-width="2"/></pattern></defs>'
)


@dataclass(frozen=True, slots=True)
class Scale:
    """From metres to the page."""

    radius_m: float

    def x(self, x_m: float) -> float:
        """East to the right."""
        return round(MARGIN + MAP / 2 * (1 + x_m / self.radius_m * 0.97), 2)

    def y(self, y_m: float) -> float:
        """North up."""
        return round(HEAD + MAP / 2 * (1 - y_m / self.radius_m * 0.97), 2)

    def length(self, metres: float) -> float:
        """Give a length on the page."""
        return round(metres / self.radius_m * 0.97 * MAP / 2, 2)


def focus_of(plan: Plan, name: str | None) -> int | None:
    """Choose the node whose paths are shown: the given one, or the farthest leaf."""
    if name is not None:
        return plan.index[name]
    others = [i for i, node in enumerate(plan.nodes) if node.role != "gateway"]
    return max(
        others, key=lambda i: (plan.nodes[i].hops, plan.nodes[i].worst_hops, -i), default=None
    )


def map_layers(plan: Plan, focus: int | None) -> Iterator[str]:
    """Draw the map itself, from the ground up."""
    scale = Scale(plan.site.radius_m)
    cx, cy, r = scale.x(0), scale.y(0), scale.length(plan.site.radius_m)
    yield f'<circle class="site" cx="{cx}" cy="{cy}" r="{r}"/>'
    drawn = plan.site.positions == "drawn"
    if not drawn and len(plan.nodes) <= COVERAGE_LIMIT:
        yield from _coverage(plan, scale)
    if not drawn:
        for part in (0.25, 0.5, 0.75):
            yield f'<circle class="ring" cx="{cx}" cy="{cy}" r="{round(r * part, 2)}"/>'
        yield from (_obstacle(obstacle, scale) for obstacle in plan.obstacles)
        yield f'<circle cx="{cx}" cy="{cy}" r="{r}" fill="none" stroke="#222" stroke-width="1.6"/>'
    yield from _links(plan, scale)
    if focus is not None and len(plan.nodes) <= FULL_LIMIT:
        yield from _paths(plan, focus, scale)
    yield from _nodes(plan, scale)
    yield from _labels(plan, focus, scale, drawn=drawn)
    if not drawn:
        yield from _scale_bar(plan, scale)


def _labels(plan: Plan, focus: int | None, scale: Scale, *, drawn: bool) -> Iterator[str]:
    """Name the gateways, the chosen node and the obstacles."""
    labels = Labels()
    yield '<g id="labels">'
    for node in plan.nodes:
        if node.role == "gateway":
            labels.keep_clear(scale.x(node.x_m), scale.y(node.y_m), 10)
    for i, node in enumerate(plan.nodes):
        if i == focus or node.role == "gateway":
            at = labels.place(scale.x(node.x_m), scale.y(node.y_m), 11, node.id, 6.4, 12)
            yield f'<text class="label" x="{at[0]}" y="{at[1]}">{escape(node.id)}</text>'
    for obstacle in () if drawn else plan.obstacles:
        ex, ey = obstacle.end
        x, y = scale.x((obstacle.x_m + ex) / 2), scale.y((obstacle.y_m + ey) / 2)
        gap = max(6.0, scale.length(obstacle.radius_m)) + 2
        at = labels.place(x, y, gap, obstacle.name, 5.0, 10)
        yield f'<text class="note" x="{at[0]}" y="{at[1]}">{escape(obstacle.name)}</text>'
    yield "</g>"


def _coverage(plan: Plan, scale: Scale) -> Iterator[str]:
    """Shade where a carried antenna would hear too few relays; white is good."""
    if plan.measured:
        return
    heard = relays_heard(plan)
    side = 2 * plan.site.radius_m / CELLS
    size = scale.length(side)
    wanted = plan.request.redundancy
    yield '<g id="coverage">'
    for row in range(CELLS):
        start = 0
        while start < CELLS:
            shade = _shade(int(heard[row, start]), wanted)
            end = start
            while end < CELLS and _shade(int(heard[row, end]), wanted) == shade:
                end += 1
            if shade:
                x = scale.x(start * side - plan.site.radius_m)
                y = scale.y((row + 1) * side - plan.site.radius_m)
                width = round((end - start) * size, 2)
                box = f'x="{x}" y="{y}" width="{width}" height="{size + 0.3:.2f}"'
                yield f'<rect class="{shade}" {box}/>'
            start = end
    yield "</g>"


def _shade(heard: int, wanted: int) -> str:
    if heard < 0 or heard >= wanted:
        return ""
    return "none" if heard == 0 else "thin"


def _obstacle(obstacle: Obstacle, scale: Scale) -> str:
    title = f"<title>{escape(obstacle.name)}: {obstacle.loss_db:g} dB</title>"
    x, y = scale.x(obstacle.x_m), scale.y(obstacle.y_m)
    if obstacle.is_wall:
        ex, ey = obstacle.end
        width = max(4.0, 2 * scale.length(obstacle.radius_m))
        return (
            f'<line class="wall" x1="{x}" y1="{y}" x2="{scale.x(ex)}" y2="{scale.y(ey)}" '
            f'stroke-width="{width}">{title}</line>'
        )
    radius = max(5.0, scale.length(obstacle.radius_m))
    return f'<circle class="obstacle" cx="{x}" cy="{y}" r="{radius}">{title}</circle>'


def _links(plan: Plan, scale: Scale) -> Iterator[str]:
    """Draw the backbone's links, and below them those by which leaves hear relays."""
    relaying = [node.role != "leaf" for node in plan.nodes]
    bone: list[str] = []
    access: list[str] = []
    for a, b, rssi in plan.links:
        if rssi < plan.planned_dbm or not (relaying[a] or relaying[b]):
            continue
        p, q = plan.nodes[a], plan.nodes[b]
        step = f"M{scale.x(p.x_m)} {scale.y(p.y_m)}L{scale.x(q.x_m)} {scale.y(q.y_m)}"
        (bone if relaying[a] and relaying[b] else access).append(step)
    if len(plan.nodes) <= FULL_LIMIT:
        yield f'<path class="access" d="{"".join(access)}" fill="none"/>'
    yield f'<path class="bone" d="{"".join(bone)}" fill="none"/>'


def _paths(plan: Plan, focus: int, scale: Scale) -> Iterator[str]:
    yield '<g id="paths">'
    for n, path in enumerate(disjoint_paths(plan, focus)):
        spots = [plan.nodes[v] for v in path]
        points = " ".join(f"{scale.x(p.x_m)},{scale.y(p.y_m)}" for p in spots)
        color, dash = PATH_COLORS[n % 8], PATH_DASHES[n % 8]
        yield f'<polyline class="case" points="{points}"/>'
        yield (
            f'<polyline class="path" points="{points}" stroke="{color}" stroke-dasharray="{dash}">'
            f"<title>way {n + 1}: {escape(' - '.join(p.id for p in spots))}</title></polyline>"
        )
    yield "</g>"


def node_size(plan: Plan) -> float:
    """Choose how large a node is drawn: smaller on crowded maps."""
    return max(1.4, min(6.5, 90 / math.sqrt(len(plan.nodes))))


def _nodes(plan: Plan, scale: Scale) -> Iterator[str]:
    size = node_size(plan)
    most = max((node.load_events_per_s for node in plan.nodes), default=0.0) or 1.0
    singles, cut = set(plan.proof.cut_vertices), set(plan.proof.cut)
    order = {"leaf": 0, "relay": 1, "gateway": 2}
    yield '<g id="nodes">'
    for i, node in sorted(enumerate(plan.nodes), key=lambda row: order[row[1].role]):
        x, y = scale.x(node.x_m), scale.y(node.y_m)
        if node.id in singles or node.id in cut:
            kind = "single" if node.id in singles else "cut"
            yield f'<circle class="{kind}" cx="{x}" cy="{y}" r="{size * 1.9:.2f}"/>'
        yield _node(i, node, x, y, size, node.load_events_per_s / most)
    yield "</g>"


def _node(i: int, node: Node, x: float, y: float, size: float, load: float) -> str:
    title = (
        f"<title>{escape(node.id)}: {node.role}, {node.hops} hops, hears "
        f"{node.relay_neighbours} relays, sends {node.load_events_per_s:g} events/s</title>"
    )
    tag = f'data-i="{i}"'
    if node.role == "gateway":
        s = round(size * 1.45, 2)
        return (
            f'<rect class="gateway" {tag} x="{x - s:.2f}" y="{y - s:.2f}" '
            f'width="{2 * s:.2f}" height="{2 * s:.2f}" rx="2">{title}</rect>'
        )
    if node.role == "relay":
        r = round(size * (0.75 + 0.35 * load), 2)
        return f'<circle class="relay" {tag} cx="{x}" cy="{y}" r="{r}">{title}</circle>'
    if node.low_power:
        s = size * 0.8
        points = f"{x},{y - s:.2f} {x + s:.2f},{y + s * 0.8:.2f} {x - s:.2f},{y + s * 0.8:.2f}"
        return f'<polygon class="sleepy" {tag} points="{points}">{title}</polygon>'
    return f'<circle class="leaf" {tag} cx="{x}" cy="{y}" r="{size * 0.55:.2f}">{title}</circle>'


def _scale_bar(plan: Plan, scale: Scale) -> Iterator[str]:
    length = nice_length(plan.site.radius_m / 2)
    x, y = MARGIN + 6, HEAD + MAP - 10
    width = scale.length(length)
    yield (
        f'<path d="M{x} {y - 6}V{y}H{x + width}V{y - 6}" fill="none" stroke="#111" '
        'stroke-width="1.6"/>'
    )
    yield f'<text class="t" x="{x}" y="{y - 11}">{length:g} m</text>'
    nx, ny = MARGIN + MAP - 18, HEAD + 34
    yield f'<path d="M{nx} {ny}l6 18l-6 -4l-6 4z" fill="#111"/>'
    yield f'<text class="h" x="{nx - 5}" y="{ny - 5}">N</text>'


def nice_length(metres: float) -> float:
    """Round a length down to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(metres))
    return max(step * power for step in (1, 2, 5) if step * power <= metres)
