"""The plan as one self-contained HTML page: pan, zoom, node details, a failure slider.

Nothing is fetched: no script, font or picture from elsewhere; it opens from a memory
stick on a machine without a network. The slider lets nodes fail in a fixed order and
follows the flood in the browser, by the same rule as `torgo simulate-failure`.
"""

import json
from collections.abc import Iterator
from html import escape

from torgo.explain import disjoint_paths
from torgo.exports.drawing import (
    FULL_LIMIT,
    HATCH,
    HEAD,
    MAP,
    MARGIN,
    PATH_COLORS,
    PATH_DASHES,
    STYLE,
    Scale,
    focus_of,
    map_layers,
)
from torgo.exports.legend import figures, legend
from torgo.failures import failure_order
from torgo.plan import Plan

PATHS_LIMIT = 500
"""Above so many nodes disjoint paths are not worked out for all of them."""


def page(plan: Plan, script: str, style: str, focus: str | None = None) -> str:
    """Write the page.

    Args:
        plan: the network.
        script: `page.js`.
        style: `page.css`.
        focus: the node that is chosen at first; default: the one that is worst off.
    """
    return "\n".join(_lines(plan, script, style, focus_of(plan, focus))) + "\n"


def _lines(plan: Plan, script: str, style: str, focus: int | None) -> Iterator[str]:
    title = escape(plan.name)
    proof = plan.proof
    verdict = (
        f'<b class="pass">PROVEN</b>: any {proof.redundancy - 1} losses leave every survivor '
        "connected"
        if proof.holds
        else '<b class="fail">NOT PROVEN</b>'
    )
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield (
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
    )
    yield f"<title>{title}</title><style>{STYLE}{style}</style></head><body>"
    yield (
        f"<header><h1>{title}</h1><p>{escape(plan.request.environment)}, redundancy "
        f"{plan.request.redundancy}. {verdict}</p></header>"
    )
    yield '<div class="controls"><label for="slider"><b>Let nodes fail</b></label>'
    yield '<input id="slider" type="range" min="0" max="80" step="1" value="0">'
    yield '<select id="order" aria-label="which nodes fail first">'
    yield '<option value="random">at random</option><option value="busiest">relays first</option>'
    yield '<option value="region">one region</option></select>'
    yield '<span id="failed"></span><button id="in">+</button><button id="out">-</button>'
    yield '<button id="reset">whole site</button>'
    yield '<input id="find" list="names" placeholder="find a node" aria-label="find a node">'
    names = "".join(f'<option value="{escape(node.id)}">' for node in plan.nodes[:FULL_LIMIT])
    yield f'<datalist id="names">{names}</datalist></div>'
    box = f"{MARGIN - 12} {HEAD - 12} {MAP + 24} {MAP + 24}"
    yield f'<main><div id="map"><svg viewBox="{box}" role="img" aria-label="{title}">{HATCH}'
    yield from map_layers(plan, focus)
    yield '</svg></div><aside><p class="big" id="served"></p><p class="small" id="lost"></p>'
    yield '<h2>The chosen node</h2><div id="details">click one</div>'
    for kind, text in figures(plan):
        if kind == "h":
            yield f"<h2>{escape(text)}</h2>"
        elif kind == "t":
            yield f"<p>{escape(text)}</p>"
    yield '<h2>Legend</h2><div class="legend">'
    for row in legend(plan, None):
        if row[0] == "symbol":
            yield f'<svg viewBox="-13 -9 26 18">{row[1]}</svg><span>{escape(row[2])}</span>'
    yield '<svg viewBox="-13 -9 26 18"><circle class="leaf lost" r="4"/></svg><span>cut off</span>'
    yield '<svg viewBox="-13 -9 26 18"><circle class="relay down" r="6"/></svg><span>down</span>'
    for n in range(plan.request.redundancy):
        dash = f'stroke="{PATH_COLORS[n % 8]}" stroke-dasharray="{PATH_DASHES[n % 8]}"'
        yield f'<svg viewBox="-13 -9 26 18"><path class="path" d="M-11 0H11" {dash}/></svg>'
        yield f"<span>way {n + 1} of the chosen node</span>"
    yield "</div><h2>Leans on these assumptions</h2><table>"
    for one in plan.assumptions:
        yield (
            f"<tr><td>{escape(one.name)}</td><td>{escape(one.value)}<br>"
            f'<span class="small">{escape(one.source)}</span></td></tr>'
        )
    yield (
        f'</table><p class="small">scenario {plan.scenario}, seed {plan.request.seed}, '
        f"torgo {escape(plan.torgo)}</p></aside></main>"
    )
    yield f'<script type="application/json" id="plan">{_data(plan, focus)}</script>'
    yield f"<script>{script}</script></body></html>"


def _data(plan: Plan, focus: int | None) -> str:
    """Pack what the script needs; `<` is escaped, so that no name can end the element."""
    size = len(plan.nodes)
    scale = Scale(plan.site.radius_m)
    seed = plan.request.seed
    useful = [
        (a, b)
        for a, b, rssi in plan.links
        if rssi >= plan.planned_dbm
        and (plan.nodes[a].role != "leaf" or plan.nodes[b].role != "leaf")
    ]
    table = {
        "nodes": [
            {
                "id": node.id,
                "kind": node.kind,
                "role": node.role,
                "hops": node.hops,
                "worst": node.worst_hops,
                "heard": node.relay_neighbours,
                "period": node.publish_period_s,
                "load": round(node.load_events_per_s, 2),
                "friend": node.friend,
            }
            for node in plan.nodes
        ],
        "links": useful,
        "gateways": plan.gateways,
        "hops_max": plan.request.hops_max,
        "focus": focus,
        "orders": {
            pattern: failure_order(plan, pattern, seed)
            for pattern in ("random", "busiest", "region")
        },
        "paths": [disjoint_paths(plan, v) for v in range(size)] if size <= PATHS_LIMIT else None,
        "spots": [[scale.x(node.x_m), scale.y(node.y_m)] for node in plan.nodes],
        "colors": PATH_COLORS,
        "dashes": PATH_DASHES,
    }
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
