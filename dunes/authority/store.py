"""The policies of one place: the shipped defaults, and `policies.json` on top of them.

Every change raises the version and is issued as a receipt: signed by this place's key,
entered in its transparency log, kept beside as `policies.mu`. A file that was changed by
hand still counts (its owner may do so); `is_logged` tells that nobody signed for it.
"""

import json
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dunes.authority.policy import Document, Policies
from dunes.authority.policydoc import read_document, write_document
from dunes.errors import ConfigError, DataError, StorageError
from dunes.filelock import locked
from dunes.paths import Paths, write_atomic

if TYPE_CHECKING:
    from dunes.authority.record import Recorder

FILE = "policies.json"
RECEIPT = "policies.mu"
LOCK = "policies.lock"
MAX_BYTES = 4 * 1024 * 1024


def policies_path(paths: Paths) -> Path:
    """Say where the local policies are."""
    return paths.config / FILE


@cache
def defaults() -> Document:
    """Give the shipped policies."""
    path = Path(__file__).with_name("defaults.toml")
    return read_document(tomllib.loads(path.read_text(encoding="utf-8")), path.name)


def read_local(paths: Paths) -> tuple[Document, bytes]:
    """Read the local document and its bytes; an empty one if there is no file.

    Raises:
        ConfigError: it cannot be read: then nothing is allowed, rather than everything.
    """
    path = policies_path(paths)
    try:
        data, body = _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return Document(), b""
    except (OSError, ValueError, TypeError) as e:
        raise ConfigError(
            f"{path} cannot be read: {e}",
            hint=f"mend {path}, or restore it from {RECEIPT}",
            code="bad-policies",
        ) from e
    return read_document(body, str(path)), data


def _read(path: Path) -> tuple[bytes, dict[str, Any]]:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    body = json.loads(data)
    if not isinstance(body, dict):
        raise TypeError("not a JSON object")
    return data, body


def load_policies(paths: Paths) -> Policies:
    """Read what holds at this place."""
    document, _ = read_local(paths)
    return Policies.join(defaults(), document)


@dataclass(slots=True)
class PolicyFile:
    """The policies, read again when their file changes; for programs that run on.

    Args:
        paths: of the installation.
    """

    paths: Paths
    _seen: tuple[int, int, int] | None = None
    _policies: Policies | None = None

    def current(self) -> Policies:
        """Give what holds now; costs one `stat` where nothing changed."""
        try:
            found = policies_path(self.paths).stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            seen = (0, 0, 0)
        if self._policies is None or seen != self._seen:
            self._policies, self._seen = load_policies(self.paths), seen
        return self._policies


def save_policies(paths: Paths, document: Document, why: str, recorder: "Recorder") -> int:
    """Write the next version of the policies; give its index in the transparency log.

    Logged first: if the process dies in between, the log knows of a version that never
    came into force, and not the other way round.

    Raises:
        ConfigError: the document contradicts itself.
        DataError: somebody else made this version already.
        StorageError: the disk said no.
    """
    Policies.join(defaults(), document)
    with locked(paths.ready(paths.runtime) / LOCK):
        return _save(paths, document, why, recorder)


def _save(paths: Paths, document: Document, why: str, recorder: "Recorder") -> int:
    before, _ = read_local(paths)
    if document.version != before.version + 1:
        raise DataError(
            f"the policies are at version {before.version} now; another change came first",
            hint="say it again",
            code="policies-changed",
        )
    data = encode(document)
    issued = recorder.record(
        FILE, data, {"policies": {"version": document.version, "why": why[:200]}}
    )
    try:
        write_atomic(policies_path(paths), data, mode=0o644)
        write_atomic(paths.config / RECEIPT, issued.data, mode=0o644)
    except OSError as e:
        raise StorageError(f"cannot write {policies_path(paths)}: {e.strerror}") from e
    return issued.log_index if issued.log_index is not None else -1


def encode(document: Document) -> bytes:
    """Write a document as its file has it."""
    body: dict[str, Any] = write_document(document)
    return (json.dumps(body, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def is_logged(paths: Paths) -> bool | None:
    """Tell whether the file is the one that was signed last; None without a file.

    The mirror in `policies.mu` is compared; `dunes markup-validate` verifies who signed.
    """
    from dunes.mu.mirror import mirror
    from dunes.mu.receipt import take_apart

    _, data = read_local(paths)
    if not data:
        return None
    try:
        parts = take_apart((paths.config / RECEIPT).read_bytes())
    except (OSError, DataError):
        return False
    return mirror(data.decode("utf-8")).encode("utf-8") == parts.mirror
