"""The simulator against the real Zephyr stack, our reference site, and small cases by hand."""

import json
import math
from pathlib import Path
from statistics import correlation, fmean

import pytest

from torgo.dice import dice
from torgo.flood import Ear, Ether, Flood, Message, Powers, Stack
from torgo.traffic import alerts, telemetry

VECTORS = Path(__file__).resolve().parents[2] / "vectors/mesh-sim"
BABBLESIM = json.loads((VECTORS / "babblesim_zephyr_rtt.json").read_text())
SITE = json.loads((VECTORS / "capacity_site_200.json").read_text())
ALWAYS = 1 << 62


def ether(size, rssi):
    """Make the air of a function (a, b) -> dBm or None."""
    ears = [{} for _ in range(size)]
    powers = [Powers() for _ in range(size)]
    for a in range(size):
        for b in range(size):
            level = rssi(a, b) if a != b else None
            if level is None:
                continue
            powers[a][b] = 10 ** (level / 10)
            chance = 1 / (1 + math.exp(-(level + 95) / 0.8))
            if chance > 0.01:
                ears[a][b] = Ear(powers[a][b], chance)
    return Ether(ears, powers)


def chain(size, level=-60):
    return ether(size, lambda a, b: level if abs(a - b) == 1 else None)


def run(air, relays, messages, seed=1, stack=None, down=None):
    flood = Flood(air, relays, stack or Stack(), dice(seed), down or {})
    done = list(flood.run(messages))
    return flood, done


def one(source, target, at_us=0, ttl=10, **more):
    return Message(source, frozenset([target]), at_us, ttl, **more)


def round_trips(network, radius, seed):
    points = network["nodes"]
    size = len(points)

    def rssi(a, b):
        distance = math.dist(points[a], points[b])
        return -95 * distance / radius + 5 if distance <= radius else None

    stack = Stack(cache=BABBLESIM["stack"]["message_cache"], sir_db=8.0, queue=10)
    tester = network["tester"]
    requests = [
        one(tester, device, at_us=(20 * device + n + 1) * 1_000_000, ttl=9, answered=True)
        for device in range(size)
        if device != tester
        for n in range(20)
    ]
    requests.sort(key=lambda message: message.at_us)
    run(ether(size, rssi), [1] * size, requests, seed, stack)
    times = {}
    failed = 0
    for request in requests:
        if request.answer is None or request.answer.first_us < 0:
            failed += 1
            continue
        device = next(iter(request.targets))
        times.setdefault(device, []).append((request.answer.first_us - request.at_us) / 1000)
    return [fmean(times[device]) for device in sorted(times)], failed / len(requests)


@pytest.mark.parametrize("network", BABBLESIM["networks"], ids=lambda n: n["name"])
def test_round_trips_are_those_of_the_real_zephyr_stack(network):
    limits = BABBLESIM["acceptance"]
    runs = [round_trips(network, network["radius"], seed) for seed in (1, 2, 3)]
    means = [fmean(column) for column in zip(*(times for times, _ in runs), strict=True)]
    expected = network["mean_rtt_ms"]
    error = 100 * fmean(abs(a - b) / b for a, b in zip(means, expected, strict=True))
    assert error <= limits["mape_percent_max"]
    assert correlation(means, expected) >= limits["pearson_min"]
    assert fmean(failed for _, failed in runs) <= limits["failed_exchanges_max_share"]


def test_the_wrong_radius_is_noticed():
    network = BABBLESIM["networks"][1]
    times, _ = round_trips(network, 2.9, 1)
    expected = network["mean_rtt_ms"]
    error = 100 * fmean(abs(a - b) / b for a, b in zip(times, expected, strict=True))
    assert error > 25


def site_air():
    points, radius = SITE["xy"], SITE["planning_radius"]
    return ether(
        SITE["nodes"],
        lambda a, b: min(-20, -90 + 40 * math.log10(radius / math.dist(points[a], points[b]))),
    )


@pytest.mark.parametrize("rate", [4, 16, 32])
def test_delivery_by_rate_is_that_of_the_reference_site(rate):
    expected = next(
        row for row in SITE["expected"] if row["sir_db"] == 12 and row["rate_msg_per_s"] == rate
    )
    relays = [v in set(SITE["relays"]) for v in range(SITE["nodes"])]
    sources = [v for v in range(SITE["nodes"]) if v != SITE["gateway"]]
    messages = telemetry(
        sources, [SITE["gateway"]], rate * 199 / 200, 40, [10] * SITE["nodes"], dice(7)
    )
    flood, done = run(site_air(), relays, messages)
    arrived = sorted(m.latency_us / 1000 for m in messages if m.first_us >= 0)
    assert len(messages) == len(done)
    assert len(arrived) / len(messages) == pytest.approx(expected["pdr"], abs=0.03)
    assert arrived[len(arrived) // 2] == pytest.approx(expected["p50_ms"], rel=0.2)
    assert sum(flood.tally.events) / 40 == pytest.approx(expected["adv_events_per_s"], rel=0.06)


def test_the_same_seed_gives_the_same_run_and_another_seed_another():
    def latencies(seed):
        messages = [one(0, 5, at_us=n * 500_000) for n in range(20)]
        run(chain(6), [1] * 6, messages, seed)
        return [message.first_us for message in messages]

    assert latencies(1) == latencies(1)
    assert latencies(1) != latencies(2)


@pytest.mark.parametrize(("ttl", "reached"), [(0, 1), (2, 2), (3, 3), (4, 4), (127, 5)])
def test_a_ttl_of_n_reaches_n_hops(ttl, reached):
    for target in range(1, 6):
        messages = [one(0, target, at_us=n * 1_000_000, ttl=ttl) for n in range(5)]
        run(chain(6), [1] * 6, messages)
        assert (target <= reached) == any(message.first_us >= 0 for message in messages)


def test_only_relays_pass_messages_on():
    messages = [one(0, 2)]
    flood, _ = run(chain(3), [0, 0, 0], messages)
    assert -1 == messages[0].first_us
    assert [3, 0, 0] == flood.tally.events


def test_a_message_costs_three_events_at_the_source_and_at_each_relay():
    flood, _ = run(chain(4), [0, 1, 1, 0], [one(0, 3)])
    assert [3, 3, 3, 0] == flood.tally.events
    assert [0, 1, 1, 0] == flood.tally.relayed


def test_latency_is_near_eight_milliseconds_a_hop():
    messages = [one(0, 9, at_us=n * 1_000_000) for n in range(60)]
    run(chain(10), [1] * 10, messages)
    hop = fmean(m.latency_us for m in messages) / 9000
    assert 6.5 < hop < 10.5


def test_any_of_several_gateways_will_do():
    message = Message(1, frozenset([0, 5]), 0, 10)
    run(chain(6), [1] * 6, [message])
    assert 0 == message.by


def test_the_stronger_of_two_packets_is_captured_and_equals_destroy_each_other():
    # 0 and 2 are hidden from each other; both speak to 1 at the same moment
    def delivered(weaker):
        air = ether(3, lambda a, b: None if 1 not in (a, b) else (weaker if a == 2 else -50))
        got = [0, 0]
        for seed in range(60):
            messages = [one(0, 1), one(2, 1)]
            stack = Stack(network_transmissions=1, first_delay_us=1)
            run(air, [0, 0, 0], messages, seed, stack)
            for i, message in enumerate(messages):
                got[i] += message.first_us >= 0
        return got

    strong, weak = delivered(-75)
    assert (strong > 50, weak) == (True, 0)
    assert delivered(-51) == [0, 0]


def test_a_disturber_need_not_be_understood():
    quiet = ether(3, lambda a, b: -88 if {a, b} == {0, 1} else None)
    noisy = ether(3, lambda a, b: -88 if {a, b} == {0, 1} else -99 if a == 2 else None)
    assert 1 not in noisy.ears[2]
    stack = Stack(network_transmissions=1, first_delay_us=1)
    arrived = {}
    for name, air in (("quiet", quiet), ("noisy", noisy)):
        arrived[name] = 0
        for seed in range(60):
            messages = [one(0, 1), one(2, 0)]
            run(air, [0, 0, 0], messages, seed, stack)
            arrived[name] += messages[0].first_us >= 0
    assert arrived["quiet"] > 50
    assert arrived["noisy"] == 0


def test_a_node_that_is_down_neither_sends_nor_hears():
    messages = [one(0, 2, at_us=n * 1_000_000) for n in range(10)]
    down = {1: [(2_500_000, 5_500_000)], 0: [(8_500_000, ALWAYS)]}
    flood, done = run(chain(3), [1] * 3, messages, down=down)
    arrived = [n for n, message in enumerate(messages) if message.first_us >= 0]
    assert [0, 1, 2, 6, 7, 8] == arrived
    assert len(messages) == len(done)
    assert 27 == flood.tally.events[0]


def test_other_users_of_the_band_cost_packets():
    messages = [one(0, 1, at_us=n * 1_000_000) for n in range(200)]
    run(chain(2), [0, 0], messages, stack=Stack(network_transmissions=1, loss=0.3))
    arrived = sum(message.first_us >= 0 for message in messages)
    assert 115 < arrived < 155


def test_a_full_queue_refuses_and_says_so():
    burst = [one(0, 1, at_us=n) for n in range(40)]
    flood, done = run(chain(2), [0, 0], burst)
    assert 40 == len(done)
    assert 40 - 3 - 16 == flood.tally.dropped


def test_a_short_cache_forgets_messages_that_are_still_on_the_air():
    def evicted(cache):
        burst = [one(n % 4, 3, at_us=n * 2_000) for n in range(200)]
        air = ether(4, lambda *_: -60)
        flood, _ = run(air, [1] * 4, burst, stack=Stack(cache=cache))
        return flood.tally.evicted

    assert evicted(4) > 50
    assert 0 == evicted(256)


def test_telemetry_has_the_rate_that_was_asked_for_and_no_two_phases_alike():
    messages = telemetry(range(50), [50], 10.0, 120.0, [5] * 51, dice(3))
    assert len(messages) == pytest.approx(1200, abs=30)
    assert [m.at_us for m in messages] == sorted(m.at_us for m in messages)
    assert len({m.at_us for m in messages}) > 1190
    assert [] == telemetry([], [0], 1.0, 60.0, [5], dice(1))
    raised = alerts(range(50), [50], 2.0, 200.0, [5] * 51, dice(3))
    assert len(raised) == pytest.approx(400, abs=60)
    assert {"alert"} == {message.label for message in raised}
