"""The plan as a file: written, read, and held against itself.

`docs/formats-torgo.md` describes the format.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator

import msgspec

from torgo.environment import BODY_RADIUS_M, MOST_NODES
from torgo.errors import BadPlan
from torgo.plan import SCHEMA, Node, Plan

LIMIT_BYTES = 200_000_000


def encode_plan(plan: Plan) -> bytes:
    """Write a plan as JSON: one line for each node and each link, for `diff` and `grep`."""
    table = msgspec.to_builtins(plan)
    lines = []
    for key, value in table.items():
        if key in {"nodes", "links", "assumptions"}:
            rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in value)
            lines.append(f' "{key}": [\n  {rows}\n ]' if value else f' "{key}": []')
        else:
            lines.append(f' "{key}": {json.dumps(value, ensure_ascii=False)}')
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def decode_plan(data: bytes, where: str) -> Plan:
    """Read a plan, and check that it does not contradict itself.

    Raises:
        BadPlan: no JSON, not a plan, another version, or a contradiction; the message
            says where.
    """
    hint = "torgo generate --env lunar-hab writes a plan"
    if len(data) > LIMIT_BYTES:
        raise BadPlan(f"{where}: {len(data)} bytes are too many for a plan", hint=hint)
    try:
        head = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        schema = msgspec.json.decode(head.get("schema", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise BadPlan(f"{where}: not a JSON object: {e}", hint=hint) from e
    if schema != SCHEMA:
        raise BadPlan(f"{where}: schema is {str(schema)[:40]!r}, not {SCHEMA!r}", hint=hint)
    try:
        plan = msgspec.json.decode(data, type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise BadPlan(f"{where}: {e}", hint=hint) from e
    problem = next(contradictions(plan), None)
    if problem:
        raise BadPlan(f"{where}: {problem}", hint=hint)
    return plan


def contradictions(plan: Plan) -> Iterator[str]:  # noqa: C901 - a list of rules
    """List what cannot be in a plan that types alone do not catch."""
    size = len(plan.nodes)
    if not 1 < size <= MOST_NODES:
        yield f"{size} nodes; a mesh has 2 to {MOST_NODES}"
    if plan.site.body not in BODY_RADIUS_M:
        yield f"body {plan.site.body[:40]!r} is unknown"
    if plan.request.redundancy < 1:
        yield f"redundancy is {plan.request.redundancy}, not above 0"
    if plan.site.radius_m <= 0:
        yield f"radius_m is {plan.site.radius_m:g}, not above 0"
    for name, times in Counter(node.id for node in plan.nodes).items():
        if times > 1:
            yield f"{times} nodes are called {name[:40]!r}"
    known = {node.id for node in plan.nodes}
    for i, node in enumerate(plan.nodes):
        yield from _node_problems(plan, i, node, known)
    seen: set[tuple[int, int]] = set()
    for n, (a, b, _) in enumerate(plan.links):
        if not (0 <= a < size and 0 <= b < size) or a == b:
            yield f"links[{n}] joins {a} and {b}; there are nodes 0 to {size - 1}"
        elif (min(a, b), max(a, b)) in seen:
            yield f"links[{n}] joins {a} and {b} a second time"
        seen.add((min(a, b), max(a, b)))


def _node_problems(plan: Plan, i: int, node: Node, known: set[str]) -> Iterator[str]:
    where = f"nodes[{i}] ({node.id[:40]})"
    if not node.id or not node.id.isprintable():
        yield f"nodes[{i}]: id {node.id[:40]!r} is no name"
    if not 0 <= node.ttl <= 127 or node.ttl == 1:  # noqa: PLR2004 - Mesh Protocol 1.1, 3.4.4.4
        yield f"{where}: ttl is {node.ttl}, not 0 or 2 to 127"
    if not 1 <= node.network_transmissions <= 8:  # noqa: PLR2004 - 4.2.20
        yield f"{where}: network_transmissions is {node.network_transmissions}, not 1 to 8"
    if (node.role == "leaf") != (node.relay_transmissions == 0):
        yield f"{where}: a {node.role} with relay_transmissions {node.relay_transmissions}"
    if node.friend is not None and node.friend not in known:
        yield f"{where}: its friend {node.friend[:40]!r} is not in the plan"
    if not node.height_m > 0:
        yield f"{where}: height_m is {node.height_m:g}, not above 0"
    if math.hypot(node.x_m, node.y_m) > plan.site.radius_m * 1.01 + 1:
        yield f"{where}: stands {math.hypot(node.x_m, node.y_m):.0f} m from the centre, outside"
