import importlib
import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import dunes

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def test_our_mcp_answers_as_ours(typed):
    done = typed("mcp", "--version")
    assert (0, f"mcp {dunes.__version__}\n") == (done.returncode, done.stdout)
    again = typed("dunes-mcp", "--version")
    assert f"dunes-mcp {dunes.__version__}\n" == again.stdout


def test_the_same_program_answers_to_its_unambiguous_spellings(typed):
    assert f"dunes mcp {dunes.__version__}\n" == typed("dunes", "mcp", "--version").stdout
    assert f"dunes {dunes.__version__}\n" == typed("python", "-m", "dunes", "--version").stdout


def test_the_foreign_distribution_of_that_name_is_not_here():
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("mcp")
    assert not (ROOT / "mcp/__init__.py").exists()
    named = [*PROJECT["project"]["dependencies"]]
    for group in [
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]:
        named += [row for row in group if isinstance(row, str)]
    assert "mcp" not in {Requirement(row).name for row in named}


def pins(*names):
    found = {}
    for name in names:
        text = (ROOT / "requirements" / f"{name}.lock").read_text()
        found |= {match[1].lower().replace("_", "-"): match[2] for match in PIN.finditer(text)}
    return found


@pytest.mark.parametrize(
    ("locks", "wanted"),
    [
        (("run",), PROJECT["project"]["dependencies"]),
        *(
            (("run", extra) if extra in {"qrng", "probe"} else ("run",), rows)
            for extra, rows in PROJECT["project"]["optional-dependencies"].items()
        ),
        (("run", "test"), PROJECT["dependency-groups"]["test"]),
        (("run", "test"), PROJECT["dependency-groups"]["build"]),
        (("run", "lint"), PROJECT["dependency-groups"]["lint"]),
        (("test",), PROJECT["build-system"]["requires"]),
    ],
)
def test_the_lock_files_fulfil_what_the_project_asks_for(locks, wanted):
    locked = pins(*locks)
    for row in wanted:
        need = Requirement(row)
        version = locked.get(need.name.lower().replace("_", "-"))
        assert version is not None, f"{need.name} is not locked: make lock"
        assert need.specifier.contains(version, prereleases=True), f"{row}, locked {version}"


def test_every_lock_line_has_a_hash():
    for lock in (ROOT / "requirements").glob("*.lock"):
        for block in re.split(r"\n(?=\S)", lock.read_text()):
            if PIN.match(block):
                assert "--hash=sha256:" in block, f"{lock.name}: {block.splitlines()[0]}"


def test_a_tool_without_commands_says_what_it_will_be(typed):
    for tool in ("torgo", "arachnid", "sakina"):
        module = importlib.import_module(f"{tool}.cli")
        if not hasattr(module, "app"):
            done = typed(tool)
            assert 69 == done.returncode
            assert f"{tool}: has no command yet" in done.stderr
            assert 0 == typed(tool, "--version").returncode
