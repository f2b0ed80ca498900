"""Uptime: bounds against known values, the sampled proof against exhaustive counting."""

import itertools
import math
from dataclasses import replace

import pytest

from torgo.adapt import serve
from torgo.binomial import binomial_cdf, lower_bound, upper_bound
from torgo.generate import Generator, Labels, skeleton
from torgo.prove import certain_share, failures_below, open_states, prove_uptime
from torgo.wish import make_draft


@pytest.mark.parametrize(
    ("failures", "draws", "low", "high"),
    [
        (0, 100, 0.0, 0.02951),  # the rule of three, exactly 1 - 0.05 ** (1 / 100)
        (1, 100, 0.0005128, 0.04656),
        (10, 100, 0.05526, 0.1637),
        (50, 100, 0.4137, 0.5863),
        (100, 100, 0.9705, 1.0),
    ],
)
def test_clopper_pearson_bounds_are_the_tabulated_ones(failures, draws, low, high):
    assert low == pytest.approx(lower_bound(failures, draws, 0.95), rel=2e-3, abs=1e-12)
    assert high == pytest.approx(upper_bound(failures, draws, 0.95), rel=2e-3)


def test_the_binomial_distribution_adds_up():
    total = sum(math.comb(12, k) * 0.3**k * 0.7 ** (12 - k) for k in range(5))
    assert total == pytest.approx(binomial_cdf(4, 12, 0.3))
    assert [0.0, 1.0, 1.0, 0.0] == [
        binomial_cdf(*args) for args in ((-1, 5, 0.5), (5, 5, 0.5), (2, 5, 0.0), (2, 5, 1.0))
    ]


def test_certain_open_and_hopeless_states_are_all_there_are():
    p, q, relays, gateways, redundancy = 0.07, 0.2, 11, 3, 3
    certain = certain_share(relays + gateways, gateways, redundancy, p, q)
    left = sum(chance for chance, _, _ in open_states(relays, gateways, redundancy, p, q))
    assert 1 == pytest.approx(certain + left + q**gateways)
    assert [0.93**2, 2 * 0.07 * 0.93] == [pytest.approx(x) for x in failures_below(2, 0.07, 2)]


@pytest.fixture(scope="module")
def tiny(wish_for):
    """Seven relays and gateways and some leaves: small enough to count all states."""
    wish = wish_for("remote-farm", nodes=12, gateways=2, redundancy=2, iterations=50)
    env = replace(wish.env, area=replace(wish.env.area, radius_m=260.0), obstacles=())
    generator = Generator(
        skeleton(make_draft(replace(wish, env=env)), Labels("generate", "test", "tiny"))
    )
    list(generator.search(50))
    return generator.plan()


def exact_uptime(plan, p, q):
    """Count every state of every node; weigh live nodes alike, as the sampling does."""
    size = len(plan.nodes)
    doors = set(plan.gateways)
    total = 0.0
    for state in itertools.product((True, False), repeat=size):
        chance = math.prod(
            (1 - (q if i in doors else p)) if up else (q if i in doors else p)
            for i, up in enumerate(state)
        )
        live = [i for i, up in enumerate(state) if up]
        if not live:
            continue
        service = serve(plan.graph, state, plan.relay_mask, plan.gateways, plan.request.hops_max)
        total += chance * sum(service.hops[i] >= 0 for i in live) / len(live)
    return total


def test_the_sampled_proof_encloses_the_exact_uptime(tiny):
    assert tiny.proof.holds
    for p, q in ((0.05, 0.05), (0.4, 0.1)):
        expected = exact_uptime(tiny, p, q)
        proof = prove_uptime(tiny, 0.99, draws=4000, seed=3, node_down=p, gateway_down=q)
        assert proof.uptime_low <= expected <= proof.uptime_high + 1e-9
        assert expected == pytest.approx(proof.uptime, abs=0.006)


def test_fewer_losses_than_the_redundancy_are_certain_because_nobody_is_cut_off(tiny):
    relays = [i for i, node in enumerate(tiny.nodes) if node.role != "leaf"]
    for lost in itertools.combinations(relays, tiny.proof.redundancy - 1):
        alive = [i not in lost for i in range(len(tiny.nodes))]
        if any(alive[door] for door in tiny.gateways):
            service = serve(
                tiny.graph, alive, tiny.relay_mask, tiny.gateways, tiny.request.hops_max
            )
            assert service.served == service.live


def test_the_guide_s_lunar_mesh_passes_four_nines(lunar):
    proof = prove_uptime(lunar, 0.9999, draws=1000, seed=1)
    assert "PASS" == proof.verdict
    assert 0.9999 <= proof.uptime_low <= proof.uptime <= proof.uptime_high <= 1
    assert "" == proof.why


def test_one_gateway_caps_uptime_and_the_proof_says_so(wish_for):
    wish = wish_for("lunar-hab", gateways=1, iterations=0)
    generator = Generator(skeleton(make_draft(wish), Labels("generate", "test", "x")))
    list(generator.search(0))
    proof = prove_uptime(generator.plan(), 0.9999, draws=200, seed=1)
    assert "FAIL" == proof.verdict
    assert proof.uptime_high <= 0.99
    assert "more gateways do" in proof.why


def test_too_few_draws_show_nothing(lunar):
    proof = prove_uptime(lunar, 0.9999, draws=5, seed=1, node_down=0.08)
    assert "not shown" == proof.verdict
    assert "take more draws" in proof.why


def test_a_plan_whose_own_proof_fails_lends_no_certainty(lunar):
    broken = replace(lunar, proof=replace(lunar.proof, holds=False))
    proof = prove_uptime(broken, 0.9, draws=200, seed=1)
    assert (0, 0.0) == (proof.redundancy, proof.certain)
    far = replace(lunar, proof=replace(lunar.proof, worst_hops=99))
    assert 0.0 == prove_uptime(far, 0.9, draws=200, seed=1).certain
