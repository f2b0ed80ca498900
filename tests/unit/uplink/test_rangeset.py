from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dunes.uplink.rangeset import RangeSet

STEP = st.tuples(st.booleans(), st.integers(0, 40), st.integers(0, 8))


@given(st.lists(STEP, max_size=30), st.integers(0, 45), st.integers(0, 45))
def test_a_range_set_is_a_set(steps, first, last):
    ranges, plain = RangeSet(), set()
    for adding, start, length in steps:
        numbers = set(range(start, start + length))
        if adding:
            ranges.add(start, start + length - 1)
            plain |= numbers
        else:
            ranges.remove(start, start + length - 1)
            plain -= numbers
    assert plain == {n for a, b in ranges for n in range(a, b + 1)}
    assert len(plain) == ranges.count()
    assert (min(plain, default=None), max(plain, default=None)) == (ranges.first, ranges.last)
    assert [n in plain for n in range(50)] == [n in ranges for n in range(50)]
    span = range(first, last + 1)
    assert [n for n in span if n not in plain] == [
        n for a, b in ranges.gaps(first, last) for n in range(a, b + 1)
    ]
    assert [n for n in span if n in plain] == [
        n for a, b in ranges.within(first, last) for n in range(a, b + 1)
    ]
    pairs = list(ranges)
    assert all(b + 1 < c for (_, b), (c, _) in pairwise(pairs))
    assert RangeSet(pairs) == ranges == ranges.copy()
