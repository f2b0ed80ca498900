"""Impossible wishes: refused with the reason, and with ways out that work."""

from dataclasses import replace

import pytest

from torgo.environment import with_height, with_range
from torgo.remedies import explain_refusal, try_remedies
from torgo.wish import judge, make_draft, with_least_power


def refuse(wish):
    draft = make_draft(wish)
    judgement = judge(draft)
    assert not judgement.possible
    return explain_refusal(draft, judgement, 100.0, list(try_remedies(wish)))


def follow(wish, remedy):
    """Do what a remedy says, by its option."""
    name, _, value = remedy.option.partition(" ")
    number = float(value.rstrip("mdBi"))
    if name == "--antenna-height":
        return replace(wish, env=with_height(wish.env, number))
    if name == "--tx-power":
        radio = replace(wish.env.radio, tx_power_dbm=number)
        return replace(wish, env=replace(wish.env, radio=radio))
    if name == "--gain":
        radio = replace(wish.env.radio, antenna_gain_dbi=number)
        return replace(wish, env=replace(wish.env, radio=radio))
    if name == "--range":
        return replace(wish, env=with_range(wish.env, number))
    if name == "--nodes":
        return replace(wish, nodes=int(number))
    return replace(wish, gateways=int(number))


@pytest.fixture
def low_masts(wish_for):
    wish = wish_for("lunar-hab", nodes=60)
    return replace(wish, env=with_height(wish.env, 1.0))


def test_every_remedy_that_is_said_to_work_does(low_masts):
    refusal = refuse(low_masts)
    working = [remedy for remedy in refusal.remedies if remedy.works]
    assert {"masts", "range", "nodes"} <= {remedy.what for remedy in working}
    for remedy in working:
        assert judge(make_draft(follow(low_masts, remedy))).possible, remedy
    assert 0 <= refusal.reached < low_masts.redundancy
    assert str(low_masts.redundancy) in refusal.reason


def test_the_smallest_mast_that_does_is_named(low_masts):
    mast = next(r for r in refuse(low_masts).remedies if r.what == "masts")
    height = float(mast.value.split()[0])
    lower = replace(low_masts, env=with_height(low_masts.env, height - 0.5))
    assert not judge(make_draft(lower)).possible


def test_the_cut_that_is_named_parts_the_site(wish_for):
    wish = wish_for("mars-surface", redundancy=9, iterations=0)
    draft = make_draft(wish)
    refusal = explain_refusal(draft, judge(draft), 100.0, [])
    assert 5 <= refusal.reached < 9
    index = {s.id: i for i, s in enumerate(draft.stations)}
    assert refusal.lonely or refusal.cut
    lost = {index[name] for name in refusal.cut}
    left = [v for v in range(draft.graph.size) if v not in lost]
    seen, todo = {left[0]}, [left[0]]
    while todo:
        for w in draft.graph.near[todo.pop()]:
            if w not in lost and w not in seen:
                seen.add(w)
                todo.append(w)
    assert not refusal.cut or len(seen) < len(left)


def test_more_redundancy_than_nodes_is_refused_as_such(wish_for):
    wish = wish_for("space-hab", redundancy=60)
    draft = make_draft(wish)
    refusal = explain_refusal(draft, judge(draft), 20.0, [])
    assert "needs 61 nodes that may relay" in refusal.reason


def test_too_many_hops_are_healed_by_gateways(wish_for):
    wish = wish_for("lunar-hab", hops_max=2, gateways=1)
    refusal = refuse(wish)
    assert "more than 2 hops" in refusal.reason
    assert refusal.far
    gateways = next(r for r in refusal.remedies if r.what == "gateways")
    assert gateways.works
    assert judge(make_draft(follow(wish, gateways))).possible


def test_fifty_nodes_over_ten_kilometres_are_refused(wish_for):
    wish = wish_for("mars-surface")
    wide = replace(wish, env=with_range(wish.env, 10_000.0))
    refusal = refuse(wide)
    assert 0 == refusal.reached
    assert not next(r for r in refusal.remedies if r.what == "masts").works
    nodes = next(r for r in refusal.remedies if r.what == "nodes")
    assert nodes.value


def test_the_least_power_does_and_the_step_below_does_not(wish_for):
    wish = wish_for("disaster-zone")
    chosen = with_least_power(wish)
    power = chosen.env.radio.tx_power_dbm
    assert power < wish.env.radio.tx_power_dbm
    assert judge(make_draft(chosen)).possible
    quieter = replace(chosen.env.radio, tx_power_dbm=power - 4)
    assert not judge(make_draft(replace(chosen, env=replace(chosen.env, radio=quieter)))).possible
