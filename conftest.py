"""The documents' examples as tests: ```console blocks of Markdown files.

`$ ` starts a command, `> ` continues it, the rest is its output (stdout and stderr);
`...` stands for anything, `[69]` for the exit code. Blocks of one file share a folder and
its DUNES_HOME, not variables. A block marked ```console needs=NAME runs with --have=NAME.
"""

import os
import re
import signal
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import pytest

BLOCK = re.compile(r"^```console(?: needs=(\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LIMIT_S = 120


def pytest_addoption(parser):
    parser.addoption("--have", action="append", default=[], help="nrf52840, dish, ...")


def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".md":
        return Guide.from_parent(parent, path=file_path)
    return None


class Guide(pytest.File):
    """A Markdown file; its blocks run in order, in one new folder."""

    folder: tempfile.TemporaryDirectory

    def setup(self):
        self.folder = tempfile.TemporaryDirectory(prefix="guide-")
        home = Path(self.folder.name)
        (home / "examples").symlink_to(Path(__file__).parent / "examples")
        path = sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"]
        self.env = {
            "PATH": path,
            "HOME": str(home),
            "DUNES_HOME": str(home / "dunes"),
            "NO_COLOR": "1",
            "COLUMNS": "80",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    def teardown(self):
        # a story that ended early leaves no site behind
        subprocess.run(
            ["dunes", "sim", "down"], env=self.env, capture_output=True, check=False, timeout=60
        )
        self.folder.cleanup()

    def collect(self):
        text = self.path.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Block.from_parent(self, name=f"line {line}", needs=match[1], body=match[2])


class Block(pytest.Item):
    """One example: commands, and what they print."""

    def __init__(self, *, needs, body, **rest):
        super().__init__(**rest)
        self.needs, self.body = needs, body

    def steps(self):
        """Give each command with what the document says it prints."""
        done = []
        for row in self.body.splitlines():
            if row.startswith("$ "):
                done.append(([row[2:]], []))
            elif row.startswith("> ") and not done[-1][1]:
                done[-1][0].append(row[2:])
            else:
                done[-1][1].append(row)
        return [("\n".join(command), "\n".join(want)) for command, want in done]

    def runtest(self):
        if self.needs and self.needs not in self.config.getoption("--have"):
            pytest.skip(f"needs {self.needs}: give --have={self.needs}")
        for command, want in self.steps():
            got = self.run_step(command)
            if not re.fullmatch(re.escape(want).replace(r"\.\.\.", ".*"), got, re.DOTALL):
                where = f"{self.path.name}, {self.name}"
                pytest.fail(
                    f"{where}\n$ {command}\n--- documented\n{want}\n--- printed\n{got}",
                    pytrace=False,
                )

    def run_step(self, command):
        """Run one command as a person would, and give its output with its exit code."""
        process = subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.parent.folder.name,
            env=self.parent.env,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            printed, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, _ = process.communicate()
            pytest.fail(f"$ {command}\nnot done after {LIMIT_S} s\n{printed}", pytrace=False)
        status = [f"[{process.returncode}]"] if process.returncode else []
        return "\n".join(printed.splitlines() + status)

    def reportinfo(self):
        return self.path, int(self.name.removeprefix("line ")), f"{self.path.name}: {self.name}"
