import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dunes.console.manpage import _text, man_page
from dunes.console.tree import Node, Option, programs

PAGES = Path(__file__).resolve().parents[2] / "completions/man"


def groff(text):
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    return subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env={"PATH": "/usr/bin:/bin", "GROFF_NO_SGR": "1"},
    )


@pytest.mark.parametrize("page", sorted(PAGES.iterdir()), ids=lambda path: path.name)
def test_groff_reads_every_page_without_a_word(page):
    assert "" == groff(page.read_text()).stderr


def test_every_command_and_option_is_on_its_page():
    for prog, root in programs().items():
        page = (PAGES / f"{prog}.1").read_text()
        for node in root.walk():
            assert _text(node.typed) in page
            for option in node.options:
                assert _text(option.names[-1]) in page


def test_what_groff_would_read_as_markup_comes_out_as_it_was():
    text = ".SH is \\fBnot\\fR bold\n'quoted' --and-dashed … µSv"
    option = Option(("--path",), text, takes_value=True, metavar="a|b")
    page = man_page(Node(("prog",), "Try.", "Try.\n\n" + text, (option,), (), ()), ["other"])
    done = groff(page)
    assert "" == done.stderr
    shown = done.stdout.replace("\u2010", "-").replace("\u2019", "'").replace("\u2018", "'")
    assert 2 == " ".join(shown.split()).count(
        ".SH is \\fBnot\\fR bold 'quoted' --and-dashed … µSv"
    )
    assert "other(1)" in re.sub(".\x08", "", shown)
