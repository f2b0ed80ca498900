"""The figures of a rehearsed outage."""

from dunes.sim.judge import AlertSeen
from dunes.sim.outage import AlertFigures, alert_figures

S = 1_000_000
CUT, BACK = 100 * S, 110 * S


def seen(*pairs):
    return [AlertSeen("a", round(made * S), round(at * S)) for made, at in pairs]


def test_an_alert_far_from_the_outage_is_measured_from_its_making():
    assert AlertFigures(2, 0, 2.5, None) == alert_figures(
        seen((90, 91.5), (130, 132.5)), CUT, BACK
    )


def test_an_alert_made_in_the_outage_is_measured_from_the_links_return():
    assert AlertFigures(2, 2, None, 4.0) == alert_figures(seen((101, 113), (109, 114)), CUT, BACK)


def test_an_alert_that_was_under_way_is_the_outages():
    assert AlertFigures(1, 1, None, 3.0) == alert_figures(seen((99, 113)), CUT, BACK)


def test_an_alert_that_waits_behind_those_of_the_outage_is_the_outages():
    # made a second after the link's return, while the others had not come through yet
    assert AlertFigures(2, 2, None, 7.0) == alert_figures(seen((105, 117), (111, 118)), CUT, BACK)


def test_an_alert_after_those_of_the_outage_is_not():
    assert AlertFigures(2, 1, 2.0, 3.0) == alert_figures(seen((105, 113), (114, 116)), CUT, BACK)


def test_without_an_outage_all_alerts_are_measured_from_their_making():
    assert AlertFigures(1, 0, 1.0, None) == alert_figures(seen((1, 2)), None, None)
    assert AlertFigures() == alert_figures([], None, None)


def test_an_outage_that_did_not_end_has_no_time_after_it():
    assert AlertFigures(1, 0, 2.0, None) == alert_figures(seen((90, 92)), CUT, None)
