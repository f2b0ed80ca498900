"""Printing in a thread: in order, never holding up, saying what was lost."""

import threading

from dunes.console.pour import WAITING_MAX, Pour


def test_what_is_put_in_is_printed_in_order_to_the_end():
    printed = []
    with Pour(printed.append) as pour:
        for number in range(1000):
            pour.put(number)
    assert list(range(1000)) == printed
    assert 0 == pour.lost


def test_a_reader_that_stands_still_costs_lines_and_nothing_else():
    go = threading.Event()
    printed = []

    def slow(thing):
        go.wait(10)
        printed.append(thing)

    with Pour(slow) as pour:
        for number in range(WAITING_MAX + 50):
            pour.put(number)
        assert pour.lost >= 40
        go.set()
    assert printed[:3] == [0, 1, 2]


def test_a_pipe_that_is_closed_ends_the_printing_and_not_the_work():
    def broken(_thing):
        raise BrokenPipeError("nobody reads")

    with Pour(broken) as pour:
        pour.put(1)
        pour.put(2)
    assert isinstance(pour.broken, BrokenPipeError)
