"""What torgo tells about plans: simulation, failures, explanation, comparison, feedback."""

import json

import pytest

from dunes.errors import NotFound, UsageError
from torgo import quantities
from torgo.calibrate import calibrate
from torgo.capacity import pace, publish_period
from torgo.compare import compare
from torgo.energy import mean_power_mw, tx_current_ma
from torgo.errors import BadSite, Impossible
from torgo.explain import disjoint_paths, explain
from torgo.failures import failure_order, outcome_of
from torgo.feedback import Sample, judge_samples, latest, parse_samples, work_in
from torgo.flood import Stack
from torgo.simulate import share_interval, simulate


def test_at_the_planned_pace_ninety_nine_of_a_hundred_messages_arrive(mars):
    plan = calibrate(mars)
    assert "simulation" == plan.capacity.knee_by
    rate = plan.capacity.telemetry_msg_per_s
    assert rate <= plan.capacity.knee_msg_per_s / 2
    run, messages = simulate(plan, rate_msg_per_s=rate, duration_s=200, seed=5)
    assert run.deliveries[0].share >= 0.99
    assert len(messages) == run.deliveries[0].sent
    beyond, _ = simulate(plan, rate_msg_per_s=8 * rate, duration_s=60, seed=5)
    assert beyond.deliveries[0].share < run.deliveries[0].share


def test_calibration_gives_the_same_each_time_and_a_period_that_can_be_set(mars):
    plan = calibrate(mars)
    assert plan == calibrate(mars)
    period = plan.capacity.publish_period_s
    assert period == publish_period(period)
    assert {period} == {node.publish_period_s for node in plan.nodes}
    assert period * plan.capacity.telemetry_msg_per_s == pytest.approx(len(plan.nodes), rel=1e-3)


@pytest.mark.parametrize(
    ("least", "expected"),
    [(0.05, 0.1), (6.21, 6.3), (6.31, 7.0), (63.5, 70.0), (631.0, 1200.0), (1e9, 37_800.0)],
)
def test_periods_are_rounded_up_to_what_a_mesh_can_be_configured_to(least, expected):
    assert expected == publish_period(least)


def test_more_relays_that_disturb_each_other_mean_a_lower_knee():
    few = pace(200, 40, 15.0, 1.0, Stack())
    many = pace(200, 80, 30.0, 1.0, Stack())
    assert few.knee_msg_per_s == pytest.approx(2 * many.knee_msg_per_s, rel=0.1)
    assert (123.0, 243.0) == (few.events_per_message, many.events_per_message)


def test_failed_nodes_neither_send_nor_count(mars):
    order = failure_order(mars, "random", 1)[:10]
    run, _ = simulate(
        mars, rate_msg_per_s=3, duration_s=60, down={i: [(0, 1 << 62)] for i in order}
    )
    assert sorted(mars.names(order)) == sorted(run.failed)
    quiet = [load for load in run.nodes if load.id in set(run.failed)]
    assert all((0.0, 0) == (load.events_per_s, load.sent) for load in quiet)


def test_alerts_are_counted_apart(mars):
    run, _ = simulate(mars, rate_msg_per_s=2, duration_s=60, alert_rate_msg_per_s=0.5)
    assert ["telemetry", "alert"] == [delivery.label for delivery in run.deliveries]
    assert run.deliveries[1].sent > 10


def test_an_interval_encloses_its_share_and_narrows_with_more_messages():
    low, high = share_interval(95, 100)
    assert low < 0.95 < high
    assert high - low > share_interval(9500, 10_000)[1] - share_interval(9500, 10_000)[0]
    assert (0.0, 1.0) == share_interval(0, 0)


def test_power_grows_with_traffic_and_sleepers_need_a_hundredth():
    idle = mean_power_mw(0.0, 8.0, low_power=False)
    assert idle == pytest.approx(15.0, abs=0.5)
    assert mean_power_mw(60.0, 8.0, low_power=False) > idle
    assert mean_power_mw(0.1, 8.0, low_power=True) < idle / 100
    assert [4.8, 14.8] == [tx_current_ma(0.0), tx_current_ma(8.0)]
    assert tx_current_ma(-40.0) < tx_current_ma(-8.0) < tx_current_ma(0.0)


def test_each_pattern_of_failures_is_a_permutation_without_gateways(lunar):
    others = [i for i in range(len(lunar.nodes)) if i not in lunar.gateways]
    for pattern in ("random", "busiest", "region"):
        assert others == sorted(failure_order(lunar, pattern, 2))
    relays = sum(node.role == "relay" for node in lunar.nodes)
    busiest = failure_order(lunar, "busiest", 2)[:relays]
    assert {"relay"} == {lunar.nodes[i].role for i in busiest}


def test_losses_below_the_redundancy_cut_nobody_off(lunar):
    for seed in range(30):
        failed = failure_order(lunar, "busiest" if seed == 0 else "random", seed)[:3]
        found = outcome_of(lunar, failed)
        assert (1.0, []) == (found.served, found.cut_off)


def test_without_its_relays_a_mesh_is_cut_off_but_its_ceiling_is_not(lunar):
    relays = [i for i, node in enumerate(lunar.nodes) if node.role == "relay"]
    found = outcome_of(lunar, relays)
    assert found.served < found.ceiling
    assert len(found.cut_off) == round((1 - found.served) * (len(lunar.nodes) - len(relays)))


def test_every_node_has_its_disjoint_ways(mars):
    for v, node in enumerate(mars.nodes):
        paths = disjoint_paths(mars, v)
        if node.role == "gateway":
            assert [] == paths
            continue
        assert mars.request.redundancy == len(paths)
        inner = [u for path in paths for u in path[1:-1]]
        assert len(inner) == len(set(inner))
        assert {"leaf"}.isdisjoint(mars.nodes[u].role for u in inner)
        assert len({path[-1] for path in paths}) == 1
        assert max(len(path) - 1 for path in paths) <= node.worst_hops


def test_an_explanation_says_what_hangs_on_a_node(mars):
    relay = next(node for node in mars.nodes if node.role == "relay")
    found = explain(mars, relay.id.upper())
    assert relay.id == found.id
    assert [] == found.cut_off_without_it, "redundancy 5 survives any one loss"
    assert sorted((h.rssi_dbm for h in found.neighbours), reverse=True) == [
        h.rssi_dbm for h in found.neighbours
    ]
    for name in found.depends_on_it:
        other = mars.index[name]
        rest = mars.relay_mask & ~(1 << mars.index[relay.id])
        assert (mars.graph.masks[other] & rest).bit_count() < mars.request.redundancy
    leaf = next(node for node in mars.nodes if node.role == "leaf")
    assert [] == explain(mars, leaf.id).depends_on_it


def test_an_unknown_node_comes_with_suggestions(mars):
    with pytest.raises(NotFound) as caught:
        explain(mars, "rover-0001")
    assert "do you mean rover-001" in caught.value.hint


def test_two_plans_are_compared_by_figures_and_roles(mars, plan_for):
    other = plan_for("mars-surface", 0)
    found = compare(mars, other)
    rows = {row.name: (row.a, row.b, row.better) for row in found.rows}
    assert (str(mars.proof.relays), str(other.proof.relays), "a") == rows["relays"]
    on = {n.id for n in other.nodes if n.role != "leaf"}
    off = {n.id for n in mars.nodes if n.role != "leaf"}
    assert (sorted(on - off), sorted(off - on)) == (found.on, found.off)
    assert compare(mars, mars).same_scenario
    assert all(not row.better for row in compare(mars, mars).rows)


def rows(*samples):
    return "\n".join(json.dumps(sample) for sample in samples)


def test_a_shaking_relay_relays_no_more(mars):
    relay = next(node for node in mars.nodes if node.role == "relay")
    text = rows(
        *({"device": relay.id, "kind": "acceleration", "value": 3.7 + 2 * (n % 2), "ts_s": n}
          for n in range(10)),
        {"device": relay.id, "kind": "co2", "value": 4},
    )  # fmt: skip
    samples = latest(parse_samples(text, "x", "acceleration"), 60)
    plan, findings = work_in(mars, "accelerometer", samples, 50)
    assert [(relay.id, False)] == [(f.node, f.relay) for f in findings]
    assert plan.proof.holds
    assert "leaf" == plan.nodes[plan.index[relay.id]].role


def test_calm_readings_leave_the_plan_alone(mars):
    samples = [Sample("rover-001", 3.71, float(n)) for n in range(10)]
    assert (mars, []) == work_in(mars, "accelerometer", samples, 50)


@pytest.mark.parametrize(
    ("sensor", "value", "said"),
    [("battery", 12.0, "battery at 12 %"), ("temperature", -61.0, "-61 C, out of rating")],
)
def test_weak_nodes_are_found(mars, sensor, value, said):
    (finding,) = judge_samples(mars, sensor, [Sample("rover-002", value, 0.0)])
    assert (said, False) == (finding.what, finding.relay)


def test_measured_signals_replace_computed_ones(mars):
    a, b, _ = mars.links[0]
    one, other = mars.nodes[a].id, mars.nodes[b].id
    samples = [Sample(one, -97.0, 0.0, other), Sample(other, -60.0, 0.0, one)]
    plan, findings = work_in(mars, "rssi", samples, 50)
    assert "lost: -97 dBm" in findings[0].what
    assert b not in plan.graph.near[a]
    assert plan.proof.holds


def test_noise_drowns_weak_links_or_makes_the_wish_impossible(mars):
    quiet, findings = work_in(mars, "rf-noise", [Sample("rover-001", -120.0, 0.0)], 50)
    assert (mars, []) == (quiet, findings)
    loud = [Sample(node.id, -60.0, 0.0) for node in mars.nodes]
    with pytest.raises(Impossible, match="redundancy 5 is impossible"):
        work_in(mars, "rf-noise", loud, 50)


def test_only_the_last_interval_counts():
    samples = [Sample("a", float(n), float(n)) for n in range(100)]
    assert list(range(90, 100)) == [s.value for s in latest(samples, 10)]
    assert [] == latest([], 10)


@pytest.mark.parametrize(
    "line",
    ["{", "[]", '{"kind": "rssi"}', '{"kind":"rssi","device":"a","value":"x"}', "7", "null"],
)
def test_a_line_that_is_no_reading_is_refused_with_its_number(line):
    with pytest.raises(BadSite, match="x:2"):
        parse_samples('{"kind":"rssi","device":"a","value":1}\n' + line, "x", "rssi")


def test_a_stranger_s_readings_are_refused(mars):
    with pytest.raises(BadSite, match="no node 'nobody'"):
        work_in(mars, "battery", [Sample("nobody", 5.0, 0.0)], 10)


def test_repairs_change_few_roles(mars):
    relay = next(node for node in mars.nodes if node.role == "relay")
    plan, _ = work_in(mars, "battery", [Sample(relay.id, 3.0, 0.0)], 0)
    before, after = mars.relay_mask, plan.relay_mask
    assert (before & ~after).bit_count() <= 3


@pytest.mark.parametrize(
    ("parse", "text", "expected"),
    [
        (quantities.power_dbm, "8dBm", 8.0),
        (quantities.power_dbm, "-12 dBm", -12.0),
        (quantities.gain_dbi, "2.15dBi", 2.15),
        (quantities.margin_db, "10dB", 10.0),
        (quantities.share, "99.99%", 0.9999),
        (quantities.rate_per_s, "4/s", 4.0),
        (quantities.rate_per_s, "30/min", 0.5),
        (quantities.threshold_dbm, "20dBm", 20.0),
    ],
)
def test_quantities_are_read(parse, text, expected):
    assert expected == pytest.approx(parse(text))


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (quantities.power_dbm, "8"),
        (quantities.power_dbm, "8W"),
        (quantities.power_dbm, "90dBm"),
        (quantities.gain_dbi, "loud"),
        (quantities.margin_db, "-3dB"),
        (quantities.share, "0.5"),
        (quantities.share, "101%"),
        (quantities.rate_per_s, "0/s"),
        (quantities.rate_per_s, "4/fortnight"),
        (quantities.rate_per_s, "4"),
    ],
)
def test_wrong_quantities_are_refused(parse, text):
    with pytest.raises(UsageError):
        parse(text)
