"""Try an environment that has nothing but the wheel and its dependencies.

python tools/try_wheel.py ENVIRONMENT
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SHARE = {
    "bash": "share/bash-completion/completions",
    "zsh": "share/zsh/site-functions",
    "fish": "share/fish/vendor_completions.d",
    "man": "share/man/man1",
}
ROOT = Path(__file__).resolve().parent.parent

INSIDE = """
import importlib.metadata, importlib.resources, json, pathlib
import dunes, dunes_mcp
names = [str(p) for p in importlib.metadata.files("dunes-mcp")]
try:
    foreign = importlib.metadata.version("mcp")
except importlib.metadata.PackageNotFoundError:
    foreign = None
print(json.dumps({"from": dunes.__file__, "files": names, "foreign": foreign,
    "scripts": [e.name for e in importlib.metadata.distribution("dunes-mcp").entry_points
                if e.group == "console_scripts"]}))
"""


def run(environment: Path, home: str, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment in an empty home, away from the source."""
    env = {"PATH": f"{environment / 'bin'}:/usr/bin:/bin", "HOME": home, "LC_ALL": "C.UTF-8"}
    env |= {"DUNES_HOME": f"{home}/dunes"}
    command = [str(environment / "bin" / argv[0]), *argv[1:]]
    return subprocess.run(  # noqa: S603 - our own programs, by absolute path
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=home,
        env=env,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def source_files() -> set[str]:
    """Name what git has of the packages, as the wheel must have it."""
    listed = subprocess.run(
        ["git", "ls-files", "dunes", "torgo", "arachnid", "sakina", "mcp/dunes_mcp"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.splitlines()
    return {name.removeprefix("mcp/") for name in listed}


def problems(environment: Path) -> list[str]:
    """Say everything that is wrong with the installation."""
    wrong = []

    def expect(truth: bool, text: str) -> None:
        if not truth:
            wrong.append(text)

    with tempfile.TemporaryDirectory(prefix="wheel-") as home:
        probe = run(environment, home, "python", "-c", INSIDE)
        expect(probe.returncode == 0, f"import: {probe.stderr}")
        if wrong:
            return wrong
        inside = json.loads(probe.stdout)
        expect(inside["from"].startswith(str(environment)), f"dunes is from {inside['from']}")
        expect(inside["foreign"] is None, f"distribution mcp {inside['foreign']} is installed")
        for name in sorted(source_files() - set(inside["files"])):
            expect(truth=False, text=f"{name} is not in the wheel")
        for shell, place in SHARE.items():
            for file in (ROOT / "completions" / shell).iterdir():
                expect((environment / place / file.name).exists(), f"no {place}/{file.name}")
        for script in inside["scripts"]:
            done = run(environment, home, script, "--version")
            said = done.stdout.split()
            expect(done.returncode == 0, f"{script} --version: {done.returncode} {done.stderr}")
            expect(said[:1] == [script], f"{script} --version says {done.stdout!r}")
        for argv in (
            ["python", "-m", "dunes", "--version"],
            ["dunes", "--help"],
            ["mcp", "--help"],
            ["dunes", "config", "--json"],
            ["dunes", "config", "--schema"],
            ["dunes", "completions", "bash"],
        ):
            done = run(environment, home, *argv)
            expect(done.returncode == 0, f"{argv}: {done.returncode} {done.stderr}")
            expect(bool(done.stdout), f"{argv}: printed nothing")
    return wrong


def main() -> int:
    """Print what is wrong."""
    wrong = problems(Path(os.path.abspath(sys.argv[1])))  # noqa: PTH100 - resolve() would leave the venv
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"wheel: {len(wrong)} problems" if wrong else "wheel: installs and answers")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
