import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from dunes.service import UNITS, quoted, unit_file

PLACES = {"table": "lunar_telemetry", "file": "/run/dunes/readings", "listen": "0.0.0.0:8443"}


@pytest.mark.parametrize("short", UNITS)
def test_systemd_accepts_every_unit_without_a_word(short, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    scripts = Path(sys.executable).parent
    report = unit_file(short, scripts, PLACES)
    path = tmp_path / f"{report.name}.service"
    path.write_text(report.unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", path],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ("", 0) == (done.stderr, done.returncode)


@pytest.mark.parametrize("short", UNITS)
def test_a_unit_uses_absolute_paths_and_no_secret_on_the_command_line(short):
    unit = unit_file(short, Path("/opt/dunes/bin"), PLACES).unit
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert start.startswith("ExecStart=/opt/dunes/bin/")
    assert start.endswith("--no-input --log-format json")
    assert "api-key" not in start
    for line in (
        "DynamicUser=yes",
        "Restart=on-failure",
        "RestartPreventExitStatus=2 CONFIG NOPERM",
    ):
        assert line in unit.splitlines()


def test_sync_gets_its_key_as_a_credential():
    unit = unit_file("sync", Path("/opt/bin"), PLACES).unit
    assert "LoadCredential=api-key:/etc/dunes/api-key" in unit.splitlines()
    assert "LoadCredential" not in unit_file("ingest", Path("/opt/bin"), PLACES).unit


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("/run/a-b_c.d", "/run/a-b_c.d"),
        ("a b", '"a b"'),
        ("50%$HOME", "50%%$$HOME"),
        ('say "x"', '"say \\"x\\""'),
        ("", '""'),
        ("a;b", '"a;b"'),
    ],
)
def test_a_word_of_a_command_line_is_quoted_as_systemd_reads_it(word, expected):
    assert expected == quoted(word)


def test_the_command_s_list_of_services_is_the_table():
    from dunes.commands.service import NAMES

    assert NAMES.split("|") == list(UNITS)


@pytest.mark.parametrize("short", UNITS)
def test_the_command_line_of_a_unit_is_one_that_the_program_takes(short):
    scripts = Path(sysconfig.get_path("scripts"))
    unit = unit_file(short, scripts, PLACES).unit
    (start,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    argv = shlex.split(start.removeprefix("ExecStart="))
    done = subprocess.run([*argv, "--schema"], capture_output=True, check=False, timeout=30)
    assert (0, b"") == (done.returncode, done.stderr)
