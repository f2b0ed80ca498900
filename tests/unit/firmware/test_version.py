import pytest

from dunes.errors import UsageError
from dunes.firmware.version import Version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1", Version(1)),
        ("v1.2", Version(1, 2)),
        ("1.2.3", Version(1, 2, 3)),
        ("1.2.3+4", Version(1, 2, 3, 4)),
        ("1.2.3.4", Version(1, 2, 3, 4)),
        ("255.255.65535.4294967295", Version(255, 255, 65535, 4294967295)),
    ],
)
def test_versions_are_read_as_imgtool_and_nodes_write_them(text, version):
    assert version == Version.parse(text)


@pytest.mark.parametrize(
    "text", ["", "one", "1.2.3.4.5", "256.0", "1.2.65536", "1..2", "-1", "٣.1"]
)
def test_what_is_no_version_is_refused(text):
    with pytest.raises(UsageError):
        Version.parse(text)


def test_later_versions_are_greater():
    assert Version(1, 10) > Version(1, 9, 9) > Version(1, 9) > Version(0, 255)


def test_a_version_is_written_short_and_whole():
    assert ("1.2", "1.2.0") == (Version(1, 2).short, str(Version(1, 2)))
    assert ("1.2.3+4", "1.2.3+4") == (Version(1, 2, 3, 4).short, str(Version(1, 2, 3, 4)))
