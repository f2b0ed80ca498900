"""Make tests/vectors/torgo/optimum.json: small sites with their proven fewest relays.

Needs ortools, which is no dependency of the project: `pip install ortools`, then
`PYTHONPATH=. python benchmarks/torgo_optimum.py`. CP-SAT with cover rows and lazy
separators: solved again until the relays found are r-connected. Sites that are not
solved within the limit are left out, and counted.
"""

import json
import math
import sys
from pathlib import Path

from ortools.sat.python import cp_model

from torgo.bits import mask_of, members
from torgo.connectivity import is_k_connected, test_connectivity
from torgo.dice import dice
from torgo.graph import Graph

LIMIT_S = 60.0
WANTED = 60


def site(rng, size, radius):
    """Scatter points over a unit disc; link those within `radius`."""
    points = []
    while len(points) < size:
        x, y = rng.uniform(-1, 1), rng.uniform(-1, 1)
        if x * x + y * y <= 1:
            points.append((x, y))
    return [
        (a, b) for b in range(size) for a in range(b) if math.dist(points[a], points[b]) <= radius
    ]


def grow(graph, side, off):
    """Grow a side over switched-off nodes, so that the separator is as strong as can be."""
    todo = list(members(side))
    while todo:
        v = todo.pop()
        fresh = graph.masks[v] & off & ~side
        side |= fresh
        todo += list(members(fresh))
    return side


def separators(graph, relays, r):
    """Give (side A, cut, side B) for one violated separator of the relays."""
    cut = mask_of(test_connectivity(graph, relays, r).cut)
    rest = relays & ~cut
    first = rest & -rest
    side = grow(graph, first, rest)
    return side, cut, rest & ~side


def solve(graph, r):  # noqa: C901, PLR0912 - one case for each kind of separator
    """Find the fewest relays, or None if it takes too long."""
    size = graph.size
    model = cp_model.CpModel()
    x = [model.new_bool_var(f"x{v}") for v in range(size)]
    for v in range(size):
        model.add(sum(x[u] for u in graph.near[v]) >= r)
    model.add(sum(x) >= r + 1)
    model.minimize(sum(x))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    left = LIMIT_S
    for _ in range(2_000):
        solver.parameters.max_time_in_seconds = left
        status = solver.solve(model)
        left -= solver.wall_time
        if status != cp_model.OPTIMAL or left <= 0:
            return None
        relays = mask_of(v for v in range(size) if solver.value(x[v]))
        if is_k_connected(graph, relays, r):
            return relays
        off = graph.everyone & ~relays
        side_a, _, side_b = separators(graph, relays, r)
        for a, other in ((side_a, side_b), (side_b, side_a)):
            # everything but the closed surroundings of a (over idle nodes) is beyond
            reach = grow(graph, a, off)
            boundary = 0
            for v in members(reach):
                boundary |= graph.masks[v]
            boundary &= ~reach
            beyond = other & ~boundary
            if not beyond:
                reach, boundary = a, 0
                for v in members(a):
                    boundary |= graph.masks[v]
                boundary &= ~a
                beyond = other & ~boundary
            inside_whole = any(not (graph.masks[v] | 1 << v) & ~reach for v in members(reach))
            outside = graph.everyone & ~reach & ~boundary
            outside_whole = any(not (graph.masks[v] | 1 << v) & ~outside for v in members(outside))
            total = sum(x[v] for v in members(boundary))
            if inside_whole and outside_whole:
                model.add(total >= r)
            elif inside_whole:
                for q in members(outside):
                    model.add(total >= r * x[q])
            elif outside_whole:
                for q in members(reach):
                    model.add(total >= r * x[q])
            else:
                p, q = next(members(a)), next(members(beyond))
                model.add(total >= r * (x[p] + x[q] - 1))
    return None


def main():
    """Make the vectors."""
    rng = dice(2031, "optimum")
    cases, unsolved = [], 0
    while len(cases) < WANTED:
        size, r = rng.randint(20, 60), rng.randint(1, 4)
        radius = rng.uniform(1.2, 2.0) * math.sqrt((3 + 3 * r) / size)
        edges = site(rng, size, radius)
        graph = Graph.of(size, edges)
        if not is_k_connected(graph, graph.everyone, r):
            continue
        relays = solve(graph, r)
        if relays is None:
            unsolved += 1
            continue
        cases.append(
            {"nodes": size, "redundancy": r, "fewest": relays.bit_count(), "edges": edges}
        )
        print(len(cases), size, r, relays.bit_count(), f"unsolved {unsolved}", file=sys.stderr)
    target = Path("tests/vectors/torgo/optimum.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    head = {
        "source": "benchmarks/torgo_optimum.py: own random sites, optima proven by CP-SAT "
        "(ortools) with lazy separators",
        "unsolved_within_60_s": unsolved,
    }
    rows = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    target.write_text(json.dumps(head)[:-1] + ', "cases": [\n' + rows + "\n]}\n")


if __name__ == "__main__":
    main()
