"""`dunes verify FILE`: who signed or sealed this, and is it unchanged?"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer

from dunes.commands.keys_options import Engine, Signer, believed_senders, check_engine
from dunes.commands.seal_files import SIGNATURE_SUFFIX, Peeked, reading, size_of
from dunes.console import Screen, command
from dunes.console.screen import printable
from dunes.errors import Exit, NotFound, UsageError

if TYPE_CHECKING:
    from dunes.crypto.signing import VerifyKey

MAGIC_BYTES = 9
BATCH_MAX_BYTES = 65 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """A good signature by somebody who is believed here; anything else is an error.

    Attributes:
        file: what was checked.
        kind: signature, sealed-file or batch.
        kid: of who signed.
        algorithm: of the signature.
        engines: what checked it.
    """

    file: str
    kind: str
    kid: str
    algorithm: str
    engines: tuple[str, ...]


def lines(report: VerifyReport) -> Iterator[str]:
    """Tell who signed."""
    yield f"{printable(report.file)}: good {report.kind} by {report.kid} ({report.algorithm})"


@command(schema="dunes.verify/1", report="dunes.commands.verify:VerifyReport")
def verify(
    screen: Screen,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A sealed file, a batch, or a signed file; `-` is stdin."
        ),
    ],
    signature: Annotated[
        Path | None,
        typer.Option("--signature", metavar="FILE", help="The signature; default: FILE.sig."),
    ] = None,
    signer: Signer = None,
    engine: Engine = "cryptography",
) -> int:
    """Check who signed or sealed a file, with public keys alone."""
    from dunes.clock import SYSTEM_CLOCK
    from dunes.crypto import batch, sealedfile
    from dunes.paths import find_paths

    second = check_engine(engine)
    senders = believed_senders(find_paths(), signer, SYSTEM_CLOCK.unix_us())
    with reading(file) as opened:
        magic = b""
        while len(magic) < MAGIC_BYTES and (part := opened.read(MAGIC_BYTES - len(magic))):
            magic += part
        source = cast("BinaryIO", Peeked(magic, opened))
        with screen.progress(f"verify {printable(file.name)}", size_of(opened), "bytes") as bar:
            if signature is None and magic == sealedfile.MAGIC:
                kind, key = "sealed-file", check_sealed(source, senders, bar.update, second=second)
            elif signature is None and magic == batch.MAGIC:
                kind, key = "batch", check_batch(source, senders, second=second)
            else:
                kind = "signature"
                beside = signature or file.with_name(file.name + SIGNATURE_SUFFIX)
                key = check_detached(file, source, beside, senders, bar.update, second=second)
    engines = ("cryptography", "liboqs") if second else ("cryptography",)
    screen.show(VerifyReport(str(file), kind, key.kid, key.algorithm.name, engines), lines)
    return Exit.OK


def check_sealed(
    source: BinaryIO,
    senders: "Mapping[str, VerifyKey]",
    progress: Callable[[int], None],
    *,
    second: bool,
) -> "VerifyKey":
    """Check a sealed file; gives who sealed it."""
    from dunes.crypto import names, sealedfile

    passed = sealedfile.verify_stream(source, senders, progress)
    key = senders[passed.header.sender]
    if second:
        from dunes.crypto.engine import Liboqs

        Liboqs().verify(key, passed.signature, bytes.fromhex(passed.digest), names.SIGN_FILE)
    return key


def check_batch(
    source: BinaryIO, senders: "Mapping[str, VerifyKey]", *, second: bool
) -> "VerifyKey":
    """Check a batch; gives who sealed it."""
    import io

    from dunes.crypto import batch

    if second:
        raise UsageError("--engine liboqs checks signatures and sealed files, not batches")
    blob = io.BufferedReader(cast("io.RawIOBase", source)).read(BATCH_MAX_BYTES)
    return senders[batch.verify_batch(blob, senders).sender]


def check_detached(
    file: Path,
    source: BinaryIO,
    beside: Path,
    senders: "Mapping[str, VerifyKey]",
    progress: Callable[[int], None],
    *,
    second: bool,
) -> "VerifyKey":
    """Check a file against the signature beside it; gives who signed.

    Raises:
        NotFound: there is no signature.
    """
    from dunes.crypto import detached, names

    try:
        with reading(beside) as opened:
            found = detached.read_signature(opened.read(detached.FILE_MAX_BYTES))
    except NotFound as e:
        raise NotFound(
            f"{file.name} is not sealed, and there is no signature {beside}",
            hint="--signature FILE; a .mu document: dunes markup-validate --file FILE",
        ) from e
    key = detached.verify_stream(source, found, senders, progress)
    if second:
        from dunes.crypto.engine import Liboqs

        Liboqs().verify_file(key, found.signature, file, names.SIGN_DETACHED)
    return key
