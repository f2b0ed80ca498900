import pytest

from dunes.text import printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é", "plain é"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("\x9b", "\\x9b"),
        ("a\nlink  up", "a\\x0alink  up"),
        ("a" * 600, "a" * 499 + "…"),
    ],
)
def test_text_of_others_cannot_steer_the_terminal(text, expected):
    assert expected == printable(text)
