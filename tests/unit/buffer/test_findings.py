"""The sum of a report: each affected reading once, damage first, notices no damage."""

from dunes.buffer.findings import FINDINGS_MAX, Finding, Kind, VerifyReport
from dunes.buffer.verify import _sum_up


def finding(kind, first=None, last=None, lane="routine"):
    readings = 0 if first is None else last - first + 1
    return Finding(kind, "", "gw-1", "00", lane, 1, 1, first, last, readings)


def report(*findings):
    made = VerifyReport("t", "t", "db", findings=list(findings))
    _sum_up(made)
    return made


def test_a_reading_that_two_findings_concern_counts_once():
    made = report(
        finding(Kind.BITROT, 11, 20),
        finding(Kind.TAMPER, 11, 20),
        finding(Kind.GAP, 16, 40),
        finding(Kind.GAP, 101, 110),
        finding(Kind.GAP, 11, 20, lane="alert"),
        finding(Kind.COUNTERS),
    )
    assert 30 + 10 + 10 == made.affected
    assert not made.intact


def test_notices_are_no_damage_and_come_last():
    made = report(finding(Kind.CLOCK, 1, 10), finding(Kind.BITROT, 1, 10))
    assert [Kind.BITROT, Kind.CLOCK] == [f.kind for f in made.findings]
    assert report(finding(Kind.CLOCK, 1, 10), finding(Kind.SEALED)).intact
    assert 0 == report(finding(Kind.CLOCK, 1, 10)).affected


def test_a_report_of_endless_damage_stays_bounded():
    made = report(*(finding(Kind.BITROT, i, i) for i in range(1, FINDINGS_MAX + 12)))
    assert (FINDINGS_MAX, 11) == (len(made.findings), made.more_findings)
    assert FINDINGS_MAX + 11 == made.affected
