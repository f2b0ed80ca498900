"""Relay selection: every claim against networkx, sizes against proven optima."""

import json
from pathlib import Path
from statistics import fmean

import networkx as nx
import pytest

from torgo.backbone import Backbone, check_backbone, short_of_relays
from torgo.bits import mask_of, members
from torgo.bound import fewest_relays
from torgo.connectivity import is_k_connected, vertex_connectivity
from torgo.dice import dice
from torgo.graph import Graph
from torgo.relaysearch import RelaySearch


def search(graph, redundancy, iterations, seed=1, forced=0, keep=0, eligible=None):
    able = graph.everyone if eligible is None else eligible
    found = RelaySearch(graph, redundancy, able, forced, dice(seed), keep=keep)
    for _ in found.run(iterations):
        pass
    return found.best


def foreign(graph, mask):
    other = nx.Graph()
    other.add_nodes_from(members(mask))
    other.add_edges_from((a, b) for a in members(mask) for b in members(graph.masks[a] & mask))
    return other


@pytest.mark.parametrize("batch", range(10))
def test_networkx_agrees_with_every_claim_on_a_hundred_random_plans(batch, disc_graph):
    rng = dice(batch, "thousand plans")
    made = 0
    while made < 100:
        size, redundancy = rng.randint(4, 24), rng.randint(1, 5)
        graph = disc_graph(size, rng.uniform(0.25, 0.9), rng.randrange(10**9))
        whole = nx.node_connectivity(foreign(graph, graph.everyone))
        claimed, cut = vertex_connectivity(graph, graph.everyone, size)
        assert whole == claimed
        possible = size > redundancy and whole >= redundancy
        assert possible == is_k_connected(graph, graph.everyone, redundancy)
        if not possible:
            if whole < size - 1:
                assert whole == len(cut)
            continue
        made += 1
        relays = search(graph, redundancy, 10, seed=made)
        backbone = foreign(graph, relays)
        assert redundancy <= nx.node_connectivity(backbone)
        assert len(backbone) > redundancy
        assert all((row & relays).bit_count() >= redundancy for row in graph.masks)
        assert fewest_relays(graph, graph.everyone, 0, redundancy) <= relays.bit_count()


def test_any_losses_below_the_redundancy_leave_every_survivor_connected(disc_graph):
    graph = disc_graph(26, 0.45, 5)
    redundancy = 3
    assert is_k_connected(graph, graph.everyone, redundancy)
    relays = search(graph, redundancy, 50)
    rng = dice(1, "losses")
    for _ in range(300):
        lost = mask_of(rng.sample(range(graph.size), redundancy - 1))
        live = graph.everyone & ~lost
        reached = next(members(live & relays))
        seen = todo = 1 << reached
        while todo:
            v = next(members(todo))
            todo &= ~(1 << v)
            if relays >> v & 1:
                fresh = graph.masks[v] & live & ~seen
                seen |= fresh
                todo |= fresh
        assert live == seen


VECTORS = Path(__file__).resolve().parents[2] / "vectors"
OPTIMUM = json.loads((VECTORS / "torgo/optimum.json").read_text())


def test_local_search_meets_the_proven_optima_of_small_sites():
    assert 60 == len(OPTIMUM["cases"])
    excess = []
    for n, case in enumerate(OPTIMUM["cases"]):
        graph = Graph.of(case["nodes"], case["edges"])
        relays = search(graph, case["redundancy"], 600, seed=n)
        verdict, short = check_backbone(graph, relays, case["redundancy"])
        assert verdict.holds
        assert [] == short
        excess.append(relays.bit_count() / case["fewest"] - 1)
        assert excess[-1] >= 0, "nothing is below a proven optimum"
    assert fmean(excess) <= 0.02
    assert sum(x > 0 for x in excess) <= 6


def test_the_bound_never_exceeds_a_proven_optimum():
    for case in OPTIMUM["cases"]:
        graph = Graph.of(case["nodes"], case["edges"])
        bound = fewest_relays(graph, graph.everyone, 0, case["redundancy"])
        assert case["redundancy"] < bound <= case["fewest"]


def test_the_same_seed_gives_the_same_relays_and_more_effort_never_more_of_them(disc_graph):
    graph = disc_graph(60, 0.33, 3)
    assert is_k_connected(graph, graph.everyone, 2)
    sizes = []
    for iterations in (0, 20, 200):
        once, twice = (search(graph, 2, iterations, seed=9) for _ in range(2))
        assert once == twice
        sizes.append(once.bit_count())
    assert sorted(sizes, reverse=True) == sizes


def test_the_best_so_far_is_valid_at_every_step(disc_graph):
    graph = disc_graph(40, 0.42, 4)
    found = RelaySearch(graph, 3, graph.everyone, 0, dice(2))
    assert is_k_connected(graph, found.best, 3)
    for step in found.run(60):
        assert is_k_connected(graph, found.best, 3)
        assert [] == short_of_relays(graph, found.best, 3)
        assert found.best.bit_count() == step.relays


def test_gateways_always_relay_and_leaves_never_do(disc_graph):
    graph = disc_graph(40, 0.5, 6)
    forced, barred = mask_of([0, 7]), mask_of([3, 11, 19])
    eligible = graph.everyone & ~barred
    relays = search(graph, 2, 100, forced=forced, eligible=eligible)
    assert forced == relays & forced
    assert 0 == relays & barred
    assert [] == short_of_relays(graph, relays, 2)


def test_relays_of_an_earlier_plan_are_given_up_last(disc_graph):
    graph = disc_graph(50, 0.42, 8)
    before = search(graph, 3, 200, seed=1)
    kept = search(graph, 3, 0, seed=2, keep=before)
    fresh = search(graph, 3, 0, seed=2)
    assert (kept & before).bit_count() > (fresh & before).bit_count()
    assert before.bit_count() >= kept.bit_count()


def test_a_switch_on_and_off_leaves_the_counts_as_they_were(disc_graph):
    graph = disc_graph(30, 0.5, 2)
    backbone = Backbone(graph, 2, graph.everyone, 0)
    counts, tight = list(backbone.count), backbone.tight
    backbone.switch_off(4)
    assert counts != backbone.count
    backbone.switch_on(4)
    assert (counts, tight) == (backbone.count, backbone.tight)


def test_a_relay_is_removable_exactly_if_the_rest_is_valid(disc_graph):
    for seed in range(12):
        graph = disc_graph(22, 0.45, 100 + seed)
        for redundancy in (1, 2, 3):
            if not is_k_connected(graph, graph.everyone, redundancy):
                continue
            relays = search(graph, redundancy, 0, seed=seed)
            backbone = Backbone(graph, redundancy, graph.everyone, 0)
            for v in members(graph.everyone & ~relays):
                backbone.switch_off(v)
            for v in list(members(relays)):
                rest = relays & ~(1 << v)
                verdict, short = check_backbone(graph, rest, redundancy)
                assert (verdict.holds and not short) == backbone.removable(v)
