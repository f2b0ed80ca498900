"""The second crypto engine: is liboqs where liboqs-python looks for it?

`import oqs` without its library tries to build one, so nothing here imports it.
"""

import os
from collections.abc import Mapping
from ctypes.util import find_library
from pathlib import Path

from dunes.doctor.check import Given, Result


def liboqs(given: Given) -> Result:
    """Say whether `--engine liboqs` could work; the house works without it."""
    found = library(given.environ)
    if not found:
        return Result("ok", "not here, and not needed: cryptography does the work")
    return Result("ok", f"second engine: {found}")


def library(environ: Mapping[str, str]) -> str:
    """Find liboqs as liboqs-python would; empty if it is nowhere."""
    base = Path(environ.get("OQS_INSTALL_PATH") or Path(environ.get("HOME") or os.sep) / "_oqs")
    for folder in ("lib", "lib64"):
        path = base / folder / "liboqs.so"
        if path.exists():
            return str(path)
    return find_library("oqs") or ""
