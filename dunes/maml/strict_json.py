"""JSON as RFC 8259 means it: no duplicate names, no NaN, bounded depth."""

import json
import re
from typing import Any, NoReturn

DEPTH_MAX = 64
STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
BRACKET = re.compile(r"[\[\]{}]")
OPENING = frozenset("[{")


class JsonFault(ValueError):
    """Not JSON, and at which character.

    Args:
        message: a sentence.
        index: in characters from the start of the text.
    """

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.index = index


def read_json(text: str) -> Any:
    """Read one JSON value.

    Raises:
        JsonFault: not JSON, nested deeper than 64, a name twice in one object,
            NaN, Infinity, a number too large to be held.
    """
    _check_depth(text)
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except json.JSONDecodeError as e:
        raise JsonFault(f"not JSON: {e.msg}", e.pos) from e
    except JsonFault:
        raise
    except ValueError as e:  # an integer beyond what Python converts
        raise JsonFault(f"not JSON: {str(e)[:100]}") from e


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the recursive decoder meets it."""
    if text.count("[") + text.count("{") <= DEPTH_MAX:
        return
    depth = 0
    for found in BRACKET.finditer(STRING.sub("", text)):
        depth += 1 if found[0] in OPENING else -1
        if depth > DEPTH_MAX:
            raise JsonFault(f"nested deeper than {DEPTH_MAX}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise JsonFault(f"name {name[:60]!r} stands twice in one object")
            seen.add(name)
    return made


def _refuse(constant: str) -> NoReturn:
    raise JsonFault(f"{constant} is not JSON")
