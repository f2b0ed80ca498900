"""The files of torgo's commands: plans, environments, the project file."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dunes.errors import DataError, NotFound, StorageError, UsageError

if TYPE_CHECKING:
    from torgo.environment import Environment
    from torgo.plan import Plan

HERE = Path(__file__).resolve().parents[1]
ENVIRONMENTS = HERE / "environments"
ASSETS = HERE / "exports"
PROJECT = Path("torgo.toml")
PROJECT_SCHEMA = "torgo.project/1"
PLAN = "torgo-output.json"
LIMIT_BYTES = 200_000_000
PUBLIC_MODE = 0o644


def environment_names() -> list[str]:
    """Name the environments that come with torgo."""
    return sorted(path.stem for path in ENVIRONMENTS.glob("*.toml"))


def load_environment(name: str) -> "Environment":
    """Read an environment by its name, or from a file of one's own.

    Raises:
        NotFound: neither; the message suggests similar names.
    """
    from torgo.environment import parse_environment

    built_in = ENVIRONMENTS / f"{name}.toml"
    if name in environment_names():
        return parse_environment(built_in.read_text(encoding="utf-8"), built_in.name)
    if name.endswith(".toml") or "/" in name:
        return parse_environment(read_text(Path(name), "environment"), name)
    close = get_close_matches(name, environment_names(), 2, 0.4)
    if close:
        hint = f"do you mean {' or '.join(close)}?"
    else:
        hint = f"one of {', '.join(environment_names())}, or a file of your own"
    raise NotFound(f"no environment {name[:60]!r}", hint=hint, code="unknown-environment")


def environment_text(name: str) -> str:
    """Give the file of an environment that comes with torgo."""
    load_environment(name)
    if name not in environment_names():
        return read_text(Path(name), "environment")
    return (ENVIRONMENTS / f"{name}.toml").read_text(encoding="utf-8")


def read_text(path: Path, what: str) -> str:
    """Read a text file of bounded size.

    Raises:
        NotFound: there is none.
        DataError: not text, or too large.
        StorageError: it cannot be read.
    """
    try:
        if path.stat().st_size > LIMIT_BYTES:
            raise DataError(f"{what} {path}: larger than {LIMIT_BYTES // 1_000_000} MB")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as e:
        raise NotFound(f"no {what} {str(path)!r}", hint=f"ls {path.parent}") from e
    except UnicodeDecodeError as e:
        raise DataError(f"{what} {path}: not UTF-8 text") from e
    except OSError as e:
        raise StorageError(f"{what} {path}: {e.strerror}") from e


def load_plan(name: str | None) -> "Plan":
    """Read a plan, by default the one in this folder.

    Raises:
        NotFound: there is none; the message says how to make one.
    """
    from torgo.planfile import decode_plan

    path = Path(name or PLAN)
    try:
        return decode_plan(read_text(path, "plan").encode(), str(path))
    except NotFound as e:
        raise NotFound(
            e.message, hint="torgo generate --env lunar-hab writes one", code="no-plan"
        ) from e


def save(path: Path, content: bytes, *, mode: int = PUBLIC_MODE) -> None:
    """Write a file as a whole.

    Raises:
        StorageError: it cannot be written.
    """
    from dunes.paths import write_atomic

    try:
        write_atomic(path, content, mode=mode)
    except OSError as e:
        raise StorageError(f"cannot write {path}: {e.strerror}") from e


def check_output(path: Path) -> None:
    """Make sure that writing a plan to `path` destroys nothing but a plan.

    Raises:
        UsageError: something else is there.
    """
    from torgo.plan import SCHEMA

    if not path.exists():
        return
    if not path.is_file():
        raise UsageError(f"{path} is no file", hint="--output FILE writes elsewhere")
    with path.open("rb") as file:
        head = file.read(4096)
    if head.strip() and SCHEMA.encode() not in head:
        raise UsageError(f"{path} holds something else than a plan", hint="--output FILE")


def read_project() -> dict[str, Any]:
    """Read the project file of this folder; empty if there is none.

    Raises:
        DataError: it is broken.
    """
    if not PROJECT.exists():
        return {}
    try:
        table = tomllib.loads(read_text(PROJECT, "project"))
    except tomllib.TOMLDecodeError as e:
        raise DataError(f"{PROJECT}: not TOML: {e}", hint="torgo init writes a new one") from e
    if table.get("schema") != PROJECT_SCHEMA:
        raise DataError(f"{PROJECT}: schema is not {PROJECT_SCHEMA!r}", hint="torgo init --force")
    return table


def write_project(table: Mapping[str, Any]) -> None:
    """Write the project file."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    save(PROJECT, ("\n".join(lines) + "\n").encode())


def page_assets() -> Iterator[str]:
    """Give the script and the style of the HTML page."""
    yield (ASSETS / "page.js").read_text(encoding="utf-8")
    yield (ASSETS / "page.css").read_text(encoding="utf-8")
