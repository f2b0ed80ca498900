"""Completions, asked of the shells themselves."""

import shutil
import subprocess
from pathlib import Path

import pexpect
import pytest

from dunes.console.tree import program_names, programs

ROOT = Path(__file__).resolve().parents[2]
COMPLETIONS = ROOT / "completions"

BASH = (
    'source "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
    '_"${1//-/_}"_complete; printf "%s\\n" "${COMPREPLY[@]}"'
)


@pytest.fixture(scope="module")
def roots():
    return programs()


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def asked_of_bash(words, env=None, cwd=None):
    script = COMPLETIONS / "bash" / words[0]
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "_", script, *words],
        capture_output=True,
        text=True,
        check=True,
        env=env,
        cwd=cwd,
        timeout=20,
    )
    assert "" == done.stderr
    return done.stdout.split()


def asked_of_fish(line, env=None, cwd=None):
    script = COMPLETIONS / "fish" / f"{line.split()[0]}.fish"
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"],
        capture_output=True,
        text=True,
        check=True,
        env=env,
        cwd=cwd,
        timeout=20,
    )
    assert "" == done.stderr
    return [row.partition("\t")[0] for row in done.stdout.splitlines()]


def await_of_zsh(line, expected, tmp_path, env):
    path = COMPLETIONS / "zsh"
    child = pexpect.spawn(
        "zsh",
        ["-f", "-i"],
        env=env | {"TERM": "dumb", "PS1": "ready> ", "ZDOTDIR": str(tmp_path)},
        dimensions=(200, 200),
        encoding="utf-8",
        timeout=20,
        cwd=str(tmp_path),
    )
    child.expect_exact("ready> ")
    child.sendline(f"fpath=({path} $fpath); autoload -Uz compinit && compinit -u -D; PS1='go> '")
    child.expect_exact("go> ")  # the echo of the command itself
    child.expect_exact("go> ")
    child.send(line + "\t\t")
    child.expect_exact(expected)
    shown = child.before
    child.send("\x15")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    return shown


def test_every_command_completes_in_bash(roots):
    for prog, root in roots.items():
        for node in root.walk():
            options = asked_of_bash([*node.path, "--"])
            assert [option.names[-1] for option in node.options] == options, node.typed
            if node.children:
                names = [child.path[-1] for child in node.children]
                assert names == asked_of_bash([*node.path, ""]), node.typed
        assert prog in program_names()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["dunes", "conf"], ["config"]),
        (["dunes", "config", "s"], ["set"]),
        (["dunes", "config", "--color", "al"], ["always"]),
        (["dunes", "config", "--color", "=", "ne"], ["never"]),
        (["dunes", "config", "--color", "="], ["auto", "always", "never"]),
        (["dunes", "help", "exit"], ["exit-codes"]),
        (["dunes", "config", "get", "mesh.i"], ["mesh.id"]),
        (["dunes", "nonsense", "--j"], []),
    ],
)
def test_bash_completes_names_values_and_words_after_an_equals_sign(words, expected):
    assert expected == asked_of_bash(words)


@needs("fish")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dunes conf", ["config"]),
        ("dunes config se", ["set"]),
        ("dunes config --color al", ["always"]),
        ("dunes config --color=al", ["--color=always"]),
        ("dunes help exit", ["exit-codes"]),
        ("dunes config get mesh.i", ["mesh.id"]),
        ("dunes config --show", ["--show-origin"]),
    ],
)
def test_fish_completes_the_same(line, expected):
    assert expected == asked_of_fish(line)


@needs("fish")
def test_every_group_completes_in_fish(roots):
    for root in roots.values():
        for node in root.walk():
            if node.children:
                names = {child.path[-1] for child in node.children}
                assert names == set(asked_of_fish(f"{node.typed} ")), node.typed


@needs("zsh")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("dunes conf", "dunes config"),
        ("dunes config ", "unset"),
        ("dunes config --show", "--show-origin"),
        ("dunes config --color=al", "--color=always"),
        ("dunes help exit", "exit-codes"),
        ("dunes config get mesh.i", "mesh.id"),
    ],
)
def test_zsh_completes_the_same(line, expected, tmp_path, environment):
    shown = await_of_zsh(line, expected, tmp_path, environment)
    assert "_arguments:" not in shown


@needs("zsh")
def test_zsh_reads_every_script_without_complaint():
    for script in sorted((COMPLETIONS / "zsh").iterdir()):
        done = subprocess.run(
            ["zsh", "-f", "-n", script], capture_output=True, text=True, check=True, timeout=20
        )
        assert "" == done.stderr


def test_installing_writes_where_the_shell_looks(typed, home):
    for shell, place in {
        "bash": ".local/share/bash-completion/completions/dunes",
        "zsh": ".local/share/zsh/site-functions/_dunes",
        "fish": ".config/fish/completions/dunes.fish",
    }.items():
        planned = typed("dunes", "completions", shell, "--install", "--dry-run")
        assert 0 == planned.returncode
        assert not (home / place).exists()
        done = typed("dunes", "completions", shell, "--install")
        assert 0 == done.returncode, done.stderr
        assert f"wrote {home / place}" in done.stdout
        kept = {path.name for path in (COMPLETIONS / shell).iterdir()}
        assert kept == {path.name for path in (home / place).parent.iterdir()}
        assert (COMPLETIONS / shell / Path(place).name).read_text() == (home / place).read_text()


def test_a_script_can_be_sourced_as_printed(typed):
    done = typed("dunes", "completions", "bash")
    assert done.stdout.startswith("# bash completion for")
    check = typed("bash", "-n", given=done.stdout)
    assert ("", 0) == (check.stderr, check.returncode)


def test_names_at_tab_come_from_the_profile_and_the_buffer(typed, home):
    import sqlite3

    assert "" == typed("dunes", "complete-names", "tables").stdout
    data = home / "dunes/data"
    data.mkdir(parents=True)
    (home / "dunes/config.toml").write_text(
        '[uplink.destinations.earth-gs]\nurl = "https://192.0.2.1/"\n'
    )
    with sqlite3.connect(data / "buffer.db") as db:
        db.execute("CREATE TABLE stream (id INTEGER PRIMARY KEY, table_name TEXT)")
        db.execute("INSERT INTO stream (table_name) VALUES ('lunar_telemetry'), ('iot_data')")
    db.close()
    assert "iot_data\nlunar_telemetry\n" == typed("dunes", "complete-names", "tables").stdout
    assert "iot-data\nlunar-data\n" == typed("dunes", "complete-names", "buffers").stdout
    assert "earth-gs\n" == typed("dunes", "complete-names", "destinations").stdout


def test_a_damaged_buffer_or_profile_never_disturbs_tab(typed, home):
    data = home / "dunes/data"
    data.mkdir(parents=True)
    (data / "buffer.db").write_bytes(b"not a database" * 100)
    (home / "dunes/config.toml").write_text("[[[")
    done = typed("dunes", "complete-names", "tables")
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
