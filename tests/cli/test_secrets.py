"""A planted secret is looked for in all that a command prints and leaves behind."""

import subprocess
from pathlib import Path

import pytest

SECRET = "hush-5f1a9c27-do-not-show"
LOOPBACK = {
    "DUNES_STARLINK_DISH_IP": "127.0.0.1",
    "DUNES_STARLINK_ROUTER_IP": "127.0.0.1",
    "DUNES_DEBUG": "1",
}

INIT = ("dunes", "init-starlink", "--router-ip", "127.0.0.1", "--no-verify", "-vv")

PLANTED = {
    "on the command line": ((*INIT, "--api-key", SECRET), "", {}),
    "on stdin": ((*INIT, "--api-key", "-"), SECRET + "\n", {}),
    "in the environment": (INIT, "", {"DUNES_API_KEY": SECRET}),
}

AFTERWARDS = [
    ("dunes", "config", "--show-origin", "-vv"),
    ("dunes", "config", "--json"),
    ("dunes", "status", "--timeout", "200ms", "--json"),
    ("dunes", "doctor", "--timeout", "3s", "--json"),
    ("dunes", "starlink-status", "--timeout", "200ms", "-vv"),
    ("dunes", "help", "environment"),
    ("dunes", "service", "--print", "sync"),
]


def files_that_show(folder, secret):
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".secret" and secret.encode() in path.read_bytes()
    ]


@pytest.mark.parametrize("way", PLANTED)
def test_a_planted_secret_shows_in_no_output_and_no_file_but_its_own(way, typed, home):
    argv, given, env = PLANTED[way]
    stored = typed(*argv, given=given, **LOOPBACK, **env)
    assert 0 == stored.returncode, stored.stderr
    (kept,) = (home / "dunes/keys").glob("*.secret")
    assert SECRET == kept.read_text().strip()
    assert 0o600 == kept.stat().st_mode & 0o777
    shown = [stored, *(typed(*command, **LOOPBACK, **env) for command in AFTERWARDS)]
    for done in shown:
        assert SECRET not in done.stdout + done.stderr, done.args
    assert [] == files_that_show(home, SECRET)


def test_a_secret_is_never_in_the_arguments_of_a_child(typed, home):
    """strace would need a privilege; the source may not even name the option to a child."""
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        ["git", "grep", "-nE", r"\"--api-key\"", "--", "dunes/*.py", "mcp/*.py"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    calls = [line for line in found if "typer.Option" not in line]
    allowed = [line for line in calls if "/commands/demo" in line]  # the guide's own line, shown
    assert calls == allowed
