"""The documents hang together: links lead somewhere, names are those of the code."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)(?:#[^)]*)?\)")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
FOLDERS = "dunes|mcp|tests|docs|benchmarks|tools|examples|requirements"
PATHS = re.compile(rf"`((?:{FOLDERS})/[\w./-]*\.[a-z]+)`")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_and_every_named_file_exists(path):
    text = path.read_text(encoding="utf-8")
    for target in LINK.findall(text):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"
    for name in PATHS.findall(text):
        assert (ROOT / name).exists(), f"{path.name} names {name}"


def test_the_readme_s_test_command_is_a_target():
    makefile = (ROOT / "Makefile").read_text()
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", readme, re.MULTILINE))
    assert ("test", "") in targets
    for target in map("".join, targets):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_changelog_begins_with_what_is_unreleased():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" == re.findall(r"^## .*$", text, re.MULTILINE)[0]


def test_nothing_that_make_install_made_is_committed():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    strays = [name for name in listed if re.match(r"\.venv|dist/|.*\.pyc$|\..*_cache", name)]
    assert [] == strays
    assert "mcp/__init__.py" not in listed
