"""The decorator that makes a function a command of the house.

It gives every command the same options (`--json`, `--schema`, `--quiet`, …) and
hands it a `Screen` that already obeys them, so that no command can forget one.
"""

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from dunes.console.screen import Color, Screen

COMMON: dict[str, tuple[Any, Any]] = {
    "json_": (
        Annotated[bool, typer.Option("--json", help="Print the result as JSON.")],
        False,
    ),
    "quiet": (
        Annotated[
            int, typer.Option("--quiet", "-q", count=True, show_default=False, help="Say less.")
        ],
        0,
    ),
    "verbose": (
        Annotated[
            int,
            typer.Option(
                "--verbose",
                "-v",
                count=True,
                show_default=False,
                help="Say more; twice: still more.",
            ),
        ],
        0,
    ),
    "color": (
        Annotated[
            Color, typer.Option("--color", help="Colour the output.", metavar="auto|always|never")
        ],
        "auto",
    ),
    "log_format": (
        Annotated[
            str,
            typer.Option(
                "--log-format", help="Notes on stderr as text or json.", metavar="text|json"
            ),
        ],
        "text",
    ),
    "no_input": (
        Annotated[bool, typer.Option("--no-input", help="Never ask; fail instead.")],
        False,
    ),
}


def command(
    *, schema: str, report: str
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Make a command of a function whose first parameter is a `Screen`.

    Args:
        schema: name and number of its JSON output, e.g. `dunes.status/1`.
        report: `module:Type` of that output; `--schema` prints the type's JSON Schema.
    """

    def decorate(function: Callable[..., int | None]) -> Callable[..., int | None]:
        signature = inspect.signature(function)
        hints = get_type_hints(function, include_extras=True)
        own = [
            p.replace(annotation=hints[p.name]) for p in list(signature.parameters.values())[1:]
        ]

        def print_schema(wanted: bool) -> None:
            if wanted:
                typer.echo(json_schema(schema, report))
                raise typer.Exit

        schema_option = typer.Option(
            "--schema",
            callback=print_schema,
            is_eager=True,
            help="Print the JSON Schema of --json and exit.",
        )
        options = COMMON | {"schema_": (Annotated[bool, schema_option], False)}
        common = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
            )
            for name, (annotation, default) in options.items()
        ]

        @wraps(function)
        def wrapper(**given: Any) -> int | None:
            chosen = {name: given.pop(name) for name in options}
            if chosen["log_format"] not in {"text", "json"}:
                raise typer.BadParameter("choose text or json", param_hint="--log-format")
            screen = Screen(
                schema,
                json=chosen["json_"],
                quiet=chosen["quiet"],
                verbose=chosen["verbose"],
                color=chosen["color"],
                log_json=chosen["log_format"] == "json",
                may_ask=sys.stdin.isatty() and sys.stderr.isatty() and not chosen["no_input"],
            )
            return function(screen, **given)

        ordered = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + common
        wrapper.__signature__ = signature.replace(parameters=ordered)  # type: ignore[attr-defined]  # read by typer
        wrapper.__annotations__ = {p.name: p.annotation for p in ordered} | {"return": int | None}
        wrapper.__dunes_output__ = (schema, report)  # type: ignore[attr-defined]  # read by the schema test
        return wrapper

    return decorate


def json_schema(schema: str, report: str) -> str:
    """Write the JSON Schema of a command's output."""
    import importlib
    import json

    import msgspec

    module, _, name = report.partition(":")
    body = msgspec.json.schema(getattr(importlib.import_module(module), name))
    target = body
    if "$ref" in body:
        target = body["$defs"][body["$ref"].rpartition("/")[2]]
    properties = {"schema": {"const": schema}} | target.get("properties", {})
    target["properties"] = properties
    target["required"] = ["schema", *target.get("required", [])]
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | body, indent=2)
