"""Programs of the house, run as a person runs them, in a home of their own."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

SCRIPTS = Path(sysconfig.get_path("scripts"))
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def environment(home):
    return {
        "PATH": f"{SCRIPTS}:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(home),
        "DUNES_HOME": str(home / "dunes"),
        "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",
    }


@pytest.fixture
def typed(home, environment):
    """Run a program as typed; gives the finished process."""
    home.mkdir()

    def run(*argv, given="", **env):
        return subprocess.run(
            argv,
            env=environment | env,
            cwd=home,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
