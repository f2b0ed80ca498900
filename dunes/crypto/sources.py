"""The sources that `--entropy` names: os, qiskit, file:PATH, http:NAME.

A source is asked for start-up bits (thrown away after their health test) and for what
is wanted. Each says honestly what it is. None is credited with any bit.
"""

import base64
import binascii
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dunes.crypto.entropy import STARTUP_BITS, Draw, check_health
from dunes.crypto.errors import EntropyFailed
from dunes.errors import UsageError

NAMES = "os, qiskit, file:PATH, http:NAME"
TIMEOUT_S = 5.0
REPLY_MAX_BYTES = 64 * 1024
QUBITS = 8
"""8 qubits take 6 ms, 16 take 1.7 s, and neither adds a bit of entropy."""
_PLAIN = re.compile(r"[\x20-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class Provider:
    """A public quantum random number service, as its documentation says; never vouched for.

    Attributes:
        title: for people.
        url: with `{size}` bytes filled in; HTTPS.
        size_unit: a request gives multiples of so many bytes.
        size_max: at most so many units a request.
        header: the name of the header that carries the key; empty if none is needed.
        header_value: how the key stands in it.
        parse: the reply's JSON to bytes.
    """

    title: str
    url: str
    size_unit: int
    size_max: int
    header: str
    header_value: str
    parse: Callable[[Mapping[str, Any]], bytes]


def _anu(reply: Mapping[str, Any]) -> bytes:
    if reply["success"] is not True or reply["type"] != "uint8":
        raise ValueError("no success")
    if not isinstance(reply["data"], list):  # bytes(10**12) would be zeros, and many
        raise TypeError("no list")
    return bytes(reply["data"])


def _qrypt(reply: Mapping[str, Any]) -> bytes:
    return b"".join(base64.b64decode(part, validate=True) for part in reply["random"])


def _lfd(reply: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(reply["qrn"])


PROVIDERS: dict[str, Provider] = {
    "anu": Provider(
        "ANU Quantum Numbers",
        "https://api.quantumnumbers.anu.edu.au?length={size}&type=uint8",
        1,
        1024,
        "x-api-key",
        "{key}",
        _anu,
    ),
    "qrypt": Provider(
        "Qrypt",
        "https://api-eus.qrypt.com/api/v1/quantum-entropy?size={size}",
        1024,
        32,
        "Authorization",
        "Bearer {key}",
        _qrypt,
    ),
    "lfd": Provider(
        "LfD",
        "https://lfdr.de/qrng_api/qrng?length={size}&format=HEX",
        1,
        4096,
        "",
        "",
        _lfd,
    ),
}


def draw(
    name: str,
    bits: int,
    *,
    api_key: str = "",
    url: str = "",
    ca_file: str = "",
    timeout_s: float = TIMEOUT_S,
) -> Draw:
    """Ask a source for `bits`, after its start-up bits passed the health tests.

    Args:
        name: qiskit, file:PATH or http:NAME.
        bits: a multiple of 8.
        api_key: for http sources; goes into a header, never into the address.
        url: asks this https address in place of the provider's (a proxy, a test).
        ca_file: believes this authority in place of the system's.
        timeout_s: silence after which a service is given up; a trickle has twice as long.

    Raises:
        UsageError: no such source.
        EntropyFailed: silent, broken, or not what it should be.
    """
    kind, _, rest = name.partition(":")
    size = (STARTUP_BITS + bits) // 8
    if name == "qiskit":
        data = _qiskit(size)
        source, quantum = "simulator:statevector", False
        statement = (
            "Source: local simulator. Simulated measurements are pseudo-random; 0 bits of "
            "entropy credited. Key strength comes from the OS generator."
        )
    elif kind == "file" and rest:
        data = _file(Path(rest), size)
        source, quantum = f"file:{Path(rest).name[:80]}", False
        statement = (
            f"Source: {Path(rest).name[:80]}, by your word; 0 bits of entropy credited. "
            "Key strength comes from the OS generator."
        )
    elif kind == "http" and rest in PROVIDERS:
        provider = PROVIDERS[rest]
        data = _http(provider, size, api_key, url, ca_file, timeout_s)
        source, quantum = f"http:{rest}", True
        statement = (
            f"Source: {provider.title}, quantum by its operator's word, and its operator knows "
            "these bits; 0 bits of entropy credited. Key strength comes from the OS generator."
        )
    else:
        raise UsageError(
            f"no entropy source {name[:80]!r}; there are {NAMES}",
            hint=f"http names: {', '.join(PROVIDERS)}",
        )
    start, wanted = data[: STARTUP_BITS // 8], data[STARTUP_BITS // 8 : size]
    check_health(start, name)
    check_health(wanted, name)
    return Draw(wanted, source, quantum, statement, meta=source.encode("utf-8"))


def _qiskit(size: int) -> bytes:
    """Measure 8 simulated qubits in superposition, `size` times."""
    try:
        from qiskit import QuantumCircuit
        from qiskit.primitives import StatevectorSampler
    except ImportError as e:
        raise EntropyFailed(
            "the source qiskit needs IBM's qiskit", hint="pip install 'dunes-mcp[qrng]'"
        ) from e
    circuit = QuantumCircuit(QUBITS)
    circuit.h(range(QUBITS))
    circuit.measure_all()
    result = StatevectorSampler().run([circuit], shots=size).result()
    return bytes(result[0].data.meas.array.tobytes())


def _file(path: Path, size: int) -> bytes:
    """Read from a file or a device such as /dev/qrandom0."""
    try:
        with path.open("rb", buffering=0) as file:
            data = b""
            while len(data) < size:
                part = file.read(size - len(data))
                if not part:
                    raise EntropyFailed(
                        f"{path} gave {len(data)} bytes; {size} are needed "
                        f"({STARTUP_BITS // 8} of them only for its health test)"
                    )
                data += part
    except OSError as e:
        raise EntropyFailed(f"{path} cannot be read: {e.strerror}") from e
    return data


def _http(
    provider: Provider, size: int, api_key: str, url: str, ca_file: str, timeout_s: float
) -> bytes:
    """Fetch from a service: HTTPS only, 64 KiB at most, the key in a header."""
    import ssl

    import httpx

    units = -(-size // provider.size_unit)
    if units > provider.size_max:
        raise EntropyFailed(
            f"{provider.title} gives at most {provider.size_unit * provider.size_max} bytes a "
            f"request; {size} are needed",
            hint="--bits 512",
        )
    address = (url or provider.url).replace("{size}", str(units))
    if not address.startswith("https://"):
        raise UsageError("an entropy service is asked over https:// only")
    if provider.header and not api_key:
        raise EntropyFailed(
            f"{provider.title} needs a key",
            hint="DUNES_ENTROPY_KEY_FILE=/path/of/the/key",
        )
    if api_key and not _PLAIN.fullmatch(api_key):
        raise UsageError("the entropy service's key holds characters that no header can")
    headers = {provider.header: provider.header_value.format(key=api_key)} if api_key else {}
    headers.pop("", None)
    headers["accept-encoding"] = "identity"  # 64 KiB of gzip can be megabytes
    context = ssl.create_default_context(cafile=ca_file or None)
    body, until_s = b"", time.monotonic() + 2 * timeout_s
    try:
        with (
            httpx.Client(verify=context, timeout=timeout_s, trust_env=False) as client,
            client.stream("GET", address, headers=headers) as reply,
        ):
            if reply.status_code != httpx.codes.OK:
                raise EntropyFailed(f"{provider.title} answered {reply.status_code}")
            for part in reply.iter_raw():
                body += part
                if len(body) > REPLY_MAX_BYTES or time.monotonic() > until_s:
                    raise EntropyFailed(f"{provider.title} sent over 64 KiB, or was too slow")
    except httpx.HTTPError as e:
        raise EntropyFailed(
            f"{provider.title} gave no answer ({type(e).__name__}); offline is normal"
        ) from e
    return parse_reply(provider, body, size)


def parse_reply(provider: Provider, body: bytes, size: int) -> bytes:
    """Read a service's reply: exactly `size` bytes, or more, cut.

    Raises:
        EntropyFailed: anything else than its documentation says.
    """
    try:
        reply = json.loads(body)
        data = provider.parse(reply)
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error) as e:
        raise EntropyFailed(f"{provider.title} sent something else than random numbers") from e
    if len(data) < size:
        raise EntropyFailed(f"{provider.title} sent {len(data)} bytes; {size} were asked for")
    return data[:size]


def api_key_from_environment(environ: Mapping[str, str] | None = None) -> str:
    """Read the service's key from DUNES_ENTROPY_KEY_FILE, else DUNES_ENTROPY_KEY."""
    env = os.environ if environ is None else environ
    path = env.get("DUNES_ENTROPY_KEY_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8")[:1000].strip()
        except (OSError, UnicodeDecodeError) as e:
            raise EntropyFailed(f"{path} cannot be read") from e
    return env.get("DUNES_ENTROPY_KEY", "").strip()
