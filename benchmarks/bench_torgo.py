"""How fast torgo plans, proves and simulates; against networkx and igraph in the same run.

    python benchmarks/bench_torgo.py [--quick] [--sizes 50,200,1000]

Sites of one density (200 nodes to a square kilometre's disc, the lunar habitat's radio,
no obstacles), so that a node has the same neighbours at every size. Promises, of which
the ratios can be compared between machines:

    "at least 4-connected?" at 200 nodes     a thousand times faster than networkx
    a plan for 1,000 nodes                   under 10 s
    200 nodes, 10 minutes at 4 messages/s    under 5 s (the published reference site)
    placement and links, 200 to 32,000       growth close to n log n

networkx and igraph measure connectivity in full; they have no test with a cut-off that is
faster on these graphs. They run only where they finish within the limit. The simulator has
no peer in Python; its events a second stand for themselves. The knees by which the
capacity model is held cautious are measured last.
"""

import argparse
import json
import math
import resource
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import igraph
import networkx as nx

from torgo.calibrate import calibrate
from torgo.connectivity import is_k_connected, vertex_connectivity
from torgo.dice import dice
from torgo.environment import parse_environment, with_range
from torgo.flood import Ear, Ether, Flood, Stack
from torgo.generate import Generator, Labels, skeleton
from torgo.simulate import simulate
from torgo.traffic import telemetry
from torgo.wish import Wish, make_draft

ROOT = Path(__file__).resolve().parents[1]
SIZES = (50, 200, 1_000, 5_000, 32_000)
FOREIGN_LIMIT = {"networkx": 1_000, "igraph": 200}
"""Above, networkx takes minutes and igraph hours."""
ITERATIONS = {50: 2_000, 200: 2_000, 1_000: 2_000, 5_000: 500, 32_000: 0}
SITE = ROOT / "tests/vectors/mesh-sim/capacity_site_200.json"
REPEATS = 5


def environment(name):
    return parse_environment((ROOT / f"torgo/environments/{name}.toml").read_text(), name)


def wish(size):
    env = replace(environment("lunar-hab"), obstacles=())
    env = with_range(env, 1000 * math.sqrt(size / 200))
    gateways = max(1, min(size // 60, 32))
    return Wish(env, 4, size, gateways, 127, iterations=ITERATIONS.get(size, 500))


def timed(function, repeats=1):
    """Give the median time and the last result."""
    times = []
    result = None
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def measure(size, promises):
    asked = wish(size)
    draft_s, draft = timed(lambda: make_draft(asked))
    graph = draft.graph
    masks_s, _ = timed(lambda: graph.masks)
    test_s, holds = timed(lambda: is_k_connected(graph, graph.everyone, 4), REPEATS)
    kappa_s, (kappa, _) = timed(lambda: vertex_connectivity(graph, graph.everyone, 16))
    row = {
        "nodes": size,
        "links": graph.edges,
        "place and links s": draft_s,
        "bit sets s": masks_s,
        "4-connected? ms": test_s * 1e3,
        "connectivity ms": kappa_s * 1e3,
        "connectivity": kappa,
    }
    edges = [(a, b) for a, near in enumerate(graph.near) for b in near if a < b]
    if size <= FOREIGN_LIMIT["networkx"]:
        foreign = nx.Graph(edges)
        row["networkx s"], found = timed(lambda: nx.node_connectivity(foreign))
        assert min(found, 16) == kappa, "networkx disagrees"
        assert (found >= 4) == holds
        if size == 200:
            ratio = row["networkx s"] / test_s
            promises['"at least 4-connected?" at 200, times networkx'] = (ratio, ratio >= 1000)
    if size <= FOREIGN_LIMIT["igraph"]:
        other = igraph.Graph(n=size, edges=edges)
        row["igraph s"], found = timed(other.vertex_connectivity)
        assert min(found, 16) == kappa, "igraph disagrees"
    start = time.perf_counter()
    generator = Generator(skeleton(draft, Labels("bench", "0", "bench")))
    for _ in generator.search(asked.iterations):
        pass
    plan = generator.plan()
    row["relays and plan s"] = time.perf_counter() - start
    row["relays"], row["at least"] = plan.proof.relays, plan.search.at_least
    assert plan.proof.holds
    if size == 1_000:
        whole = draft_s + masks_s + row["relays and plan s"]
        promises["a plan for 1,000 nodes, s"] = (whole, whole < 10)
    rate = min(4.0, plan.capacity.telemetry_msg_per_s)
    seconds = 60.0 if size <= 1_000 else 2.0 / rate
    start = time.perf_counter()
    run, _ = simulate(plan, rate_msg_per_s=rate, duration_s=seconds)
    spent = time.perf_counter() - start
    row["simulated s per s"] = seconds / spent
    row["events/s"] = run.events_per_s * seconds / spent
    return row


def reference_site():
    """Run ten minutes of traffic at 4 messages a second over the published site."""
    site = json.loads(SITE.read_text())
    size, points, radius = site["nodes"], site["xy"], site["planning_radius"]
    ears = [{} for _ in range(size)]
    powers = [[0.0] * size for _ in range(size)]
    for a in range(size):
        for b in range(size):
            if a == b:
                continue
            level = min(-20, -90 + 40 * math.log10(radius / math.dist(points[a], points[b])))
            powers[a][b] = 10 ** (level / 10)
            chance = 1 / (1 + math.exp(-(level + 95) / 0.8))
            if chance > 0.01:
                ears[a][b] = Ear(powers[a][b], chance)
    relays = [v in set(site["relays"]) for v in range(size)]
    sources = [v for v in range(size) if v != site["gateway"]]
    messages = telemetry(sources, [site["gateway"]], 4.0, 600.0, [10] * size, dice(1))
    flood = Flood(Ether(ears, powers), relays, Stack(), dice(1))
    start = time.perf_counter()
    done = sum(1 for _ in flood.run(messages))
    spent = time.perf_counter() - start
    arrived = sum(message.first_us >= 0 for message in messages) / done
    return spent, arrived, sum(flood.tally.events)


def knees():
    """Measure the knee of each environment's plan, and what the model says."""
    for name in ("lunar-hab", "mars-surface", "space-hab", "disaster-zone", "remote-farm"):
        env = environment(name)
        asked = Wish(
            env,
            env.defaults.redundancy,
            env.defaults.nodes,
            env.gateways.count,
            20,
            iterations=500,
        )
        generator = Generator(skeleton(make_draft(asked), Labels("bench", "0", name)))
        for _ in generator.search(500):
            pass
        plan = generator.plan()
        found = calibrate(plan).capacity.knee_msg_per_s
        print(
            f"  {name:<14} model {plan.capacity.knee_msg_per_s:6.2f}/s, simulated {found:6.2f}/s"
        )


def main():
    """Measure, print, and exit 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes only")
    parser.add_argument("--sizes", help="e.g. 50,200,1000")
    given = parser.parse_args()
    sizes = SIZES[:2] if given.quick else SIZES
    if given.sizes:
        sizes = tuple(map(int, given.sizes.split(",")))
    promises = {}
    rows = []
    for size in sizes:
        row = measure(size, promises)
        rows.append(row)
        for name, value in row.items():
            print(
                f"  {name:<22} {value:,.3f}"
                if isinstance(value, float)
                else f"  {name:<22} {value:,}"
            )
        print(flush=True)
    spent, arrived, events = reference_site()
    print(
        f"reference site, 600 s at 4/s: {spent:.2f} s, {events / spent:,.0f} events/s, "
        f"{arrived:.4f} arrived"
    )
    promises["200 nodes, 10 minutes at 4/s, s"] = (spent, spent < 5)
    first = next((row for row in rows if row["nodes"] == 200), None)
    last = rows[-1]
    if first is not None and last["nodes"] > 1_000:
        grown = last["place and links s"] / first["place and links s"]
        expected = last["nodes"] * math.log(last["nodes"]) / (200 * math.log(200))
        promises["growth of placement and links over n log n"] = (
            grown / expected,
            grown < 2 * expected,
        )
    print("knees at 1 % loss:")
    if not given.quick:
        knees()
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")
    for name, (value, kept) in promises.items():
        print(f"{'kept  ' if kept else 'BROKEN'} {name}: {value:,.2f}")
    sys.exit(not all(kept for _, kept in promises.values()))


if __name__ == "__main__":
    main()
