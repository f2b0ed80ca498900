"""The plan as a map on one page: SVG, by hand, readable in colour and in grey."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from xml.sax.saxutils import escape

from torgo.exports.drawing import HATCH, HEAD, MAP, MARGIN, STYLE, focus_of, map_layers
from torgo.exports.legend import figures, legend
from torgo.plan import Plan

PANEL = 330
WIDTH = MARGIN + MAP + MARGIN + PANEL + MARGIN
HEIGHT = HEAD + MAP + MARGIN


def svg(plan: Plan, focus: str | None = None) -> str:
    """Draw the plan.

    Args:
        plan: the network.
        focus: the node whose disjoint paths are drawn; default: the one that is worst off.
    """
    chosen = focus_of(plan, focus)
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(plan.name)}</title>",
            f"<style>{STYLE}</style>",
            HATCH,
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            *_head(plan),
            *map_layers(plan, chosen),
            *_panel(plan, chosen),
            "</svg>\n",
        ]
    )


def _head(plan: Plan) -> Iterator[str]:
    proof = plan.proof
    verdict = (
        f'<tspan class="pass">PROVEN</tspan>: any {proof.redundancy - 1} losses leave every '
        "survivor connected"
        if proof.holds
        else '<tspan class="fail">NOT PROVEN</tspan>: see torgo status'
    )
    yield f'<text class="title" x="{MARGIN}" y="30">{escape(plan.name)}</text>'
    yield (
        f'<text class="sub" x="{MARGIN}" y="50">{escape(plan.request.environment)}, '
        f"redundancy {plan.request.redundancy}. {verdict}</text>"
    )


def _panel(plan: Plan, focus: int | None) -> Iterator[str]:
    x, y = MARGIN + MAP + MARGIN, HEAD + 8
    for row in _panel_rows(plan, focus):
        kind, text = row[0], row[1]
        if kind == "gap":
            y += 9
        elif kind == "symbol":
            yield f'<g transform="translate({x + 9} {y - 4})">{text}</g>'
            yield f'<text class="t" x="{x + 26}" y="{y}">{escape(row[2])}</text>'
            y += 18
        else:
            for line in wrap(text, 50 if kind == "t" else 58):
                if y > HEIGHT - 14:
                    return
                yield f'<text class="{kind}" x="{x}" y="{y}">{escape(line)}</text>'
                y += {"h": 18, "t": 16}.get(kind, 13)


def _panel_rows(plan: Plan, focus: int | None) -> Iterator[Sequence[str]]:
    yield from figures(plan)
    yield "gap", ""
    yield from legend(plan, focus)
    if plan.site.positions == "drawn":
        yield "s", "positions are unknown: drawn so that neighbours lie together"
    yield "gap", ""
    yield "h", "Leans on these assumptions"
    for one in plan.assumptions:
        mark = " (option)" if one.origin == "option" else ""
        yield "s", f"{one.name}: {one.value}{mark}"
    yield "gap", ""
    yield "s", f"scenario {plan.scenario}, seed {plan.request.seed}, torgo {plan.torgo}"
