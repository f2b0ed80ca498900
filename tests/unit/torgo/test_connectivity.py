"""Claims about connectivity, against networkx and against their own cuts."""

from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torgo.bits import mask_of, members
from torgo.connectivity import (
    cut_vertices,
    is_k_connected,
    vertex_connectivity,
)
from torgo.connectivity import test_connectivity as examine
from torgo.graph import Graph, hops_from
from torgo.paths import fan, has_fan

graphs = st.integers(1, 12).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.sets(
            st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(
                lambda e: e[0] < e[1]
            ),
            max_size=size * (size - 1) // 2,
        ),
        st.sets(st.integers(0, size - 1), min_size=1),
    )
)


def pair(size, edges, active):
    own = Graph.of(size, edges)
    foreign = nx.Graph()
    foreign.add_nodes_from(range(size))
    foreign.add_edges_from(edges)
    return own, mask_of(active), foreign.subgraph(active)


@given(graphs)
@settings(max_examples=400, deadline=None)
def test_connectivity_and_its_cut_are_what_networkx_finds(case):
    own, active, foreign = pair(*case)
    expected = nx.node_connectivity(foreign) if len(foreign) > 1 else 0
    found, cut = vertex_connectivity(own, active, len(foreign) + 1)
    assert expected == found
    if found < len(foreign) - 1:
        left = foreign.subgraph(set(foreign) - set(cut))
        assert found == len(cut)
        assert not nx.is_connected(left)


@given(graphs, st.integers(1, 6))
@settings(max_examples=400, deadline=None)
def test_a_refusal_shows_losses_that_part_the_rest(case, k):
    own, active, foreign = pair(*case)
    verdict = examine(own, active, k)
    expected = len(foreign) > k and nx.node_connectivity(foreign) >= k
    assert expected == verdict.holds == is_k_connected(own, active, k)
    if not verdict.holds:
        assert len(verdict.cut) < k
        left = foreign.subgraph(set(foreign) - set(verdict.cut))
        assert len(foreign) <= k or not nx.is_connected(left)


@given(graphs)
@settings(max_examples=200, deadline=None)
def test_cut_vertices_are_what_networkx_finds(case):
    own, active, foreign = pair(*case)
    assert sorted(nx.articulation_points(foreign)) == cut_vertices(own, active)


@given(graphs, st.data())
@settings(max_examples=300, deadline=None)
def test_a_fan_has_as_many_paths_as_a_flow(case, data):
    own, active, foreign = pair(*case)
    source = data.draw(st.sampled_from(sorted(foreign)))
    others = sorted(set(foreign) - {source})
    if len(others) < 2:
        return
    sinks = data.draw(st.sets(st.sampled_from(others), min_size=2))
    joined = nx.Graph(foreign)
    joined.add_edges_from((sink, "sink") for sink in sinks)
    expected = nx.algorithms.connectivity.local_node_connectivity(joined, source, "sink")
    found = fan(own.masks, active, source, mask_of(sinks), len(others))
    assert expected == len(found.paths)
    passed = [v for path in found.paths for v in path[1:]]
    assert len(passed) == len(set(passed))
    for path in found.paths:
        assert path[0] == source
        assert path[-1] in sinks
        assert all(foreign.has_edge(a, b) for a, b in pairwise(path))


@given(graphs, st.data())
@settings(max_examples=300, deadline=None)
def test_paths_to_one_node_share_only_their_ends(case, data):
    own, active, foreign = pair(*case)
    if len(foreign) < 2:
        return
    a, b = data.draw(
        st.lists(st.sampled_from(sorted(foreign)), min_size=2, max_size=2, unique=True)
    )
    found = fan(own.masks, active, a, 1 << b, len(foreign))
    inner = [v for path in found.paths for v in path[1:-1]]
    assert len(inner) == len(set(inner))
    assert all(path[0] == a and path[-1] == b for path in found.paths)
    if not foreign.has_edge(a, b):
        expected = nx.algorithms.connectivity.local_node_connectivity(foreign, a, b)
        assert expected == len(found.paths)
        short = has_fan(own.masks, active, a, 1 << b, expected + 1)
        assert expected == short.cut.bit_count()
        left = foreign.subgraph(set(foreign) - set(members(short.cut)))
        assert not nx.has_path(left, a, b)


def test_a_search_with_a_horizon_gives_up_on_long_ways():
    ring = Graph.of(40, [(i, (i + 1) % 40) for i in range(40)])
    assert has_fan(ring.masks, ring.everyone, 0, 1 << 20, 2) is None
    assert has_fan(ring.masks, ring.everyone, 0, 1 << 20, 2, 5) is not None


@pytest.mark.parametrize(
    ("size", "edges", "expected"),
    [
        (1, [], 0),
        (2, [(0, 1)], 1),
        (3, [(0, 1), (1, 2)], 1),
        (3, [(0, 1), (1, 2), (0, 2)], 2),
        (5, [(a, b) for b in range(5) for a in range(b)], 4),
        (4, [(0, 1), (2, 3)], 0),
    ],
)
def test_small_graphs_have_the_connectivity_that_everyone_knows(size, edges, expected):
    graph = Graph.of(size, edges)
    assert expected == vertex_connectivity(graph, graph.everyone, 9)[0]


def test_a_ladder_of_cliques_without_a_clique_start_is_still_judged_right():
    # complete bipartite K(4, 4) has no triangle, so that the start has to be made by flows
    graph = Graph.of(8, [(a, b) for a in range(4) for b in range(4, 8)])
    assert 4 == vertex_connectivity(graph, graph.everyone, 9)[0]


def test_a_flood_counts_hops_over_those_who_relay_only():
    chain = Graph.of(5, [(0, 1), (1, 2), (2, 3), (3, 4)])
    assert [0, 1, 2, 3, 4] == hops_from(chain.near, [0], bytearray([0, 1, 1, 1, 0]))
    assert [0, 1, 2, -1, -1] == hops_from(chain.near, [0], bytearray([0, 1, 0, 1, 0]))
    assert [0, 1, 1, 0, 1] == hops_from(chain.near, [0, 3], bytearray(5))
