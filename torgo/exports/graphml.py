"""GraphML, for Gephi, yEd, networkx and their like.

Node attributes `relay`, `gateway`, `x_m`, `y_m` and more; edge attribute `rssi_dbm`.
Source: GraphML 1.0, http://graphml.graphdrawing.org/specification.html.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from torgo.plan import Node, Plan

NODE_KEYS = {
    "relay": "boolean",
    "gateway": "boolean",
    "x_m": "double",
    "y_m": "double",
    "height_m": "double",
    "kind": "string",
    "ttl": "int",
    "hops": "int",
    "publish_period_s": "double",
}
EDGE_KEYS = {"rssi_dbm": "double"}


def graphml(plan: Plan) -> str:
    """Write the plan's nodes and links."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">'
    for scope, keys in (("node", NODE_KEYS), ("edge", EDGE_KEYS)):
        for name, kind in keys.items():
            yield f'  <key id="{name}" for="{scope}" attr.name="{name}" attr.type="{kind}"/>'
    yield f'  <graph id={quoteattr(plan.name)} edgedefault="undirected">'
    for node in plan.nodes:
        yield f"    <node id={quoteattr(node.id)}>"
        for name, value in _values(node):
            yield f'      <data key="{name}">{escape(value)}</data>'
        yield "    </node>"
    ids = [quoteattr(node.id) for node in plan.nodes]
    for a, b, rssi in plan.links:
        yield f"    <edge source={ids[a]} target={ids[b]}>"
        yield f'      <data key="rssi_dbm">{rssi:g}</data>'
        yield "    </edge>"
    yield "  </graph>"
    yield "</graphml>"


def _values(node: Node) -> Iterator[tuple[str, str]]:
    yield "relay", str(node.role != "leaf").lower()
    yield "gateway", str(node.role == "gateway").lower()
    for name in ("x_m", "y_m", "height_m", "kind", "ttl", "hops", "publish_period_s"):
        yield name, str(getattr(node, name))
