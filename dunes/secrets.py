"""Named secrets: an API key, a client secret. Not keys (those are `dunes.crypto`).

Each lies alone in `<keys>/<name>.secret`, mode 0600 from its first byte. In memory it
is a `Secret`, which no log, traceback, f-string or JSON can show by accident.
"""

import hmac
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dunes.crypto import keyio
from dunes.errors import DataError, NotFound, StorageError, UsageError
from dunes.model import check_name
from dunes.paths import Paths

MAX_BYTES = 4096
HIDDEN = "<secret>"


class Secret:
    """A text that must not be shown; `reveal` at the last moment before its use."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Give the text itself."""
        return self._text

    def __repr__(self) -> str:
        """Hide it."""
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Hide it in f-strings too."""
        return format(HIDDEN, spec)

    def __eq__(self, other: object) -> bool:
        """Compare in constant time."""
        return isinstance(other, Secret) and hmac.compare_digest(
            self._text.encode(), other._text.encode()
        )

    __hash__ = None  # type: ignore[assignment]  # a secret is no dictionary key

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied into a file."""
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True)
class Given:
    """A secret that somebody gave, and how.

    Attributes:
        secret: the text.
        origin: the way it came, e.g. `DUNES_API_KEY`; never the secret itself.
        warning: what was unsafe about that way; empty if nothing was.
    """

    secret: Secret
    origin: str
    warning: str = ""


def secret_path(paths: Paths, name: str) -> Path:
    """Say where a secret lies."""
    return paths.keys / f"{check_name(name, 'secret')}.secret"


def store_secret(paths: Paths, name: str, secret: Secret) -> Path:
    """Write a secret down, replacing the one of that name; give the file's path.

    Raises:
        StorageError: the keys directory cannot be written.
    """
    path = secret_path(paths, name)
    try:
        paths.ready(paths.keys)
    except OSError as e:
        raise StorageError(f"cannot make {paths.keys}: {e.strerror}") from e
    keyio.write_over(path, secret.reveal().encode() + b"\n")
    return path


def load_secret(paths: Paths, name: str) -> Secret:
    """Read a stored secret.

    Raises:
        NotFound: there is none of that name.
        Denied: others could have read or planted it.
    """
    path = secret_path(paths, name)
    return parse_secret(keyio.read_private(path), str(path))


def parse_secret(raw: bytes, origin: str) -> Secret:
    """Check bytes that are to be a secret: one line of text, at most 4096 bytes.

    Raises:
        DataError: empty, too long, several lines, control characters or not UTF-8.
    """
    try:
        text = raw.decode().strip("\r\n \t")
    except UnicodeDecodeError as e:
        # chained to nothing: the error's own text would quote the secret
        raise DataError(f"{origin} is not UTF-8 text (byte {e.start})") from None
    if not text:
        raise DataError(f"{origin} is empty")
    if len(raw) > MAX_BYTES:
        raise DataError(f"{origin} is longer than {MAX_BYTES} bytes: that is no key")
    if not text.isprintable():
        raise DataError(f"{origin} is not one line of printable text")
    return Secret(text)


def given_secret(
    name: str,
    *,
    value: str | None = None,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Given | None:
    """Take a secret from where it was given: option, file, environment, credentials.

    Args:
        name: e.g. `api-key`: option `--api-key`, variable `DUNES_API_KEY`, credential
            `$CREDENTIALS_DIRECTORY/api-key`.
        value: of the option; `-` reads standard input.
        file: of the option `--<name>-file`.
        environ: the environment; default: this process's.

    Returns:
        None if nobody gave one.

    Raises:
        UsageError: given twice.
        NotFound: no such file.
        DataError: nothing that can be a secret.
    """
    env = os.environ if environ is None else environ
    option, variable = f"--{name}", f"DUNES_{name.upper().replace('-', '_')}"
    if value is not None and file is not None:
        raise UsageError(f"{option} and {option}-file are both given", hint="give one of them")
    if value == "-":
        return Given(parse_secret(sys.stdin.buffer.read(MAX_BYTES + 1), "stdin"), "stdin")
    if value is not None:
        warning = f"{option} on a command line can be seen with ps and stays in shell history"
        return Given(parse_secret(value.encode(), option), option, warning)
    if file is not None:
        return _from_file(file, f"{option}-file")
    if text := env.get(variable):
        return Given(parse_secret(text.encode(), variable), variable)
    if folder := env.get("CREDENTIALS_DIRECTORY"):
        credential = Path(folder) / name
        if credential.exists():
            return _from_file(credential, "credential")
    return None


def _from_file(path: Path, origin: str) -> Given:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
            mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError as e:
        raise NotFound(f"no file {path}", hint="check the path") from e
    except OSError as e:
        raise StorageError(f"cannot read {path}: {e.strerror}") from e
    warning = f"{path} can be read by others: chmod 600 {path}" if mode & 0o004 else ""
    return Given(parse_secret(raw, str(path)), origin, warning)
