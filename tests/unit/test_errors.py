import os

import pytest

from dunes.errors import DunesError, Exit


def subclasses(of):
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


def test_exit_statuses_are_sysexits_from_65_on():
    for status in Exit:
        if 64 < status < 79:
            system = {"DATAERR", "NOINPUT", "UNAVAILABLE", "SOFTWARE", "IOERR", "TEMPFAIL"}
            assert status == getattr(os, f"EX_{status.name}")
            assert status.name in system | {"PROTOCOL", "NOPERM", "CONFIG"}


@pytest.mark.parametrize("error", [DunesError, *subclasses(DunesError)], ids=lambda e: e.__name__)
def test_every_error_has_a_code_for_scripts_and_a_known_exit(error):
    assert error.exit in Exit
    assert error.code == error.code.lower()
    assert " " not in error.code


def test_an_instance_may_have_a_code_of_its_own():
    assert "special" == DunesError("x", code="special").code
    assert "no" == DunesError("x").code
