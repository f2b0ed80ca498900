"""Which readings of linked devices become reports, in which order, and how fast."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dunes.gateway.bridge import Bridge
from dunes.mesh.access import split_opcode
from dunes.mesh.models.habitat import habitat
from dunes.model import Priority, Reading

T0_US = 1_800_000_000_000_000
DAY_US = 86_400_000_000
SAT, BUOY = "cube-sat-001", "buoy-001"


def reading(value=12.5, kind="radiation", unit="uSv/h", *, device=SAT, after_us=0, **more):
    return Reading(device, kind, value, unit, T0_US + after_us, **more)


def bridge(**more):
    return Bridge(**({"simulated": False, "links": {SAT: 1, BUOY: 2}} | more))


def read(report):
    opcode, parameters = split_opcode(report.payload)
    name, values = habitat().read(opcode, parameters)
    assert "Report" == name
    kind = habitat().kinds[values["kind"]].name
    return report.element, kind, habitat().number(values["kind"], values["value"]), report.alert


def told(given, now_s):
    return [read(report) for report in given.due(now_s)]


def offer(given, *readings):
    return [given.offer(each, T0_US) for each in readings]


def test_a_reading_of_a_linked_device_becomes_a_report_of_its_element():
    one = bridge()
    assert [""] == offer(one, reading(seq=9))
    (report,) = one.due(5.0)
    assert (1, "radiation", 12.5, False) == read(report)
    values = habitat().read(*split_opcode(report.payload))[1]
    assert (1, 0, T0_US // 10**6 % 2**24) == (
        values["clock_set"],
        values["sequence"],
        values["time_s"],
    )
    assert ([], 1, 0) == (one.due(99.0), one.published, one.waiting)


def test_other_devices_are_none_of_its_business():
    one = bridge()
    offer(one, reading(device="hab-sensor-001"))
    assert ([], {}) == (one.due(5.0), one.skipped)


def test_of_each_kind_the_newest_value_waits_and_one_a_second_leaves():
    one = bridge()
    offer(one, *(reading(float(i), after_us=i) for i in range(50)))
    offer(one, reading(20.0, "temperature", "Cel"), reading(3.0, after_us=-5))
    offer(one, reading(7.0, device=BUOY))
    assert [(1, "radiation", 49.0, False), (2, "radiation", 7.0, False)] == told(one, 10.0)
    assert [] == told(one, 10.9)
    assert [(1, "temperature", 20.0, False)] == told(one, 11.0)
    assert 50 == one.superseded


def test_kinds_take_turns():
    one = bridge()
    seen = []
    for second in range(6):
        offer(one, reading(1.0, after_us=second), reading(2.0, "temperature", "Cel"))
        seen += [kind for _, kind, _, _ in told(one, float(second))]
    assert ["radiation", "temperature"] * 3 == seen


def test_alerts_leave_first_and_at_once_each_kind_once_a_second():
    one = bridge()
    offer(one, reading(1.0))
    assert 1 == len(told(one, 10.0))
    offer(one, reading(20.0, "temperature", "Cel"), reading(2000.0, priority=Priority.ALERT))
    offer(one, reading(18.0, "o2", "%", priority=Priority.ALERT, device=BUOY))
    offer(one, reading(3.0, "o2", "%", device=BUOY, after_us=-1))
    assert [(1, "radiation", 2000.0, True), (2, "o2", 18.0, True)] == told(one, 10.1)
    offer(one, reading(2100.0, priority=Priority.ALERT, after_us=1))
    assert [] == told(one, 10.5)
    assert [(1, "radiation", 2100.0, True)] == told(one, 11.1)
    assert [(1, "temperature", 20.0, False)] == told(one, 12.1)


def test_an_alert_takes_the_place_of_an_older_value_but_not_the_other_way_round():
    one = bridge()
    offer(one, reading(1.0), reading(2000.0, priority=Priority.ALERT, after_us=1))
    offer(one, reading(5.0, after_us=2))
    assert [(1, "radiation", 2000.0, True)] == told(one, 1.0)
    assert [(1, "radiation", 5.0, False)] == told(one, 2.0)


def test_what_no_report_can_tell_is_counted_and_said_once():
    one = bridge()
    readings = (
        reading(2.0, "wind_speed", "m/s"),
        reading(0.5, unit="mSv/h"),
        reading("high"),
        reading(1e6),
        reading(after_us=-2 * DAY_US),
        reading(simulated=True),
    )
    first = offer(one, *readings)
    assert [""] * 6 == offer(one, *readings)
    assert [
        "cube-sat-001 wind_speed is not told to the mesh: the vendor model has no such kind",
        "cube-sat-001 radiation is not told to the mesh: the vendor model tells it in uSv/h",
        "cube-sat-001 radiation is not told to the mesh: the vendor model tells numbers only",
        "cube-sat-001 radiation is not told to the mesh: a report holds at most 3276.7 uSv/h",
        "cube-sat-001 radiation is not told to the mesh: it is more than a day off",
        "cube-sat-001 radiation is not told to the mesh: it is simulated, and the mesh is not",
    ] == first
    reasons = ("kind", "unit", "value", "range", "time", "simulation")
    assert dict.fromkeys(reasons, 2) == one.skipped
    assert [] == one.due(9.0)


def test_a_simulated_reading_goes_into_the_simulated_mesh():
    one = bridge(simulated=True)
    offer(one, reading(simulated=True))
    assert 1 == len(one.due(1.0))


def test_each_element_counts_its_reports_on_from_where_it_was():
    one = bridge(sequences={1: 2**14 - 1})
    offer(one, reading(1.0), reading(2.0, "temperature", "Cel"), reading(7.0, device=BUOY))
    reports = [*one.due(1.0), *one.due(2.0)]
    numbers = [habitat().read(*split_opcode(each.payload))[1]["sequence"] for each in reports]
    assert [(1, 2**14 - 1), (2, 0), (1, 0)] == [
        (each.element, number) for each, number in zip(reports, numbers, strict=True)
    ]
    one.relink({"probe-9": 1})
    assert {1: 1, 2: 1} == one.sequences


def test_after_a_change_of_links_nothing_is_told_by_the_wrong_element():
    one = bridge()
    offer(one, reading(1.0), reading(2.0, device=BUOY))
    one.relink({BUOY: 2, "probe-9": 1})
    offer(one, reading(3.0), reading(4.0, device="probe-9"))
    assert [(1, "radiation", 4.0, False), (2, "radiation", 2.0, False)] == sorted(told(one, 1.0))


@given(
    st.lists(
        st.tuples(
            st.sampled_from([SAT, BUOY]),
            st.sampled_from([("radiation", "uSv/h"), ("temperature", "Cel"), ("o2", "%")]),
            st.floats(-300, 300),
            st.sampled_from(list(Priority)),
            st.integers(0, 5_000_000),
        ),
        max_size=60,
    )
)
def test_whatever_comes_the_pace_holds_and_all_that_waits_leaves(given_):
    one, now_s = bridge(), 0.0
    sent = {SAT: [], BUOY: []}

    def let_go():
        for element, kind, _, alert in told(one, now_s):
            sent[SAT if element == 1 else BUOY].append((now_s, kind, alert))

    for device, (kind, unit), value, priority, after_us in given_:
        assert [""] == offer(
            one, reading(value, kind, unit, device=device, after_us=after_us, priority=priority)
        )
        now_s += 0.1
        let_go()
    for _ in range(10):
        now_s += 1.0
        let_go()
    assert 0 == one.waiting
    assert len(given_) == one.published + one.superseded
    for messages in sent.values():
        routine = [at_s for at_s, _, alert in messages if not alert]
        assert all(later - at_s >= 0.999 for at_s, later in pairwise(routine))
        for kind in ("radiation", "temperature", "o2"):
            alerts = [at_s for at_s, what, alert in messages if alert and what == kind]
            assert all(later - at_s >= 0.999 for at_s, later in pairwise(alerts))
