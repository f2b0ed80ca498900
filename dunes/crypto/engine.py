"""The second engine: liboqs, through liboqs-python. Probed, never built, never needed.

`import oqs` acts: without its shared library it counts down, clones and compiles one,
and ends the process if it cannot. So this module looks for the library first, in the
same places and the same order, and imports `oqs` only if it is there. It is used where
the operator asks for it (`--engine liboqs`) and by `dunes doctor`; nothing else in the
house imports it, not even to ask.

With our keys liboqs verifies signatures and does ML-KEM; it cannot sign with them, as it
takes no seed.
"""

import contextlib
import ctypes
import ctypes.util
import io
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from dunes.crypto.errors import BadSignature, EngineMissing
from dunes.crypto.signing import SigningKey, VerifyKey
from dunes.crypto.xwing import RecipientKey

DISTRIBUTION = "liboqs-python"
BUILD_HINT = (
    "cmake -S. -Bbuild -DBUILD_SHARED_LIBS=ON -DOQS_BUILD_ONLY_LIB=ON -DOQS_USE_OPENSSL=OFF "
    '-DOQS_MINIMAL_BUILD="KEM_ml_kem_512;KEM_ml_kem_768;KEM_ml_kem_1024;'
    'SIG_ml_dsa_44;SIG_ml_dsa_65;SIG_ml_dsa_87" '
    "-DCMAKE_INSTALL_PREFIX=$HOME/_oqs && cmake --build build && cmake --install build"
)
"""In the folder of liboqs' sources; 32 s of CPU, 1 MB. Printed by doctor, never run."""
WHOLE_MAX_BYTES = 256 * 1024 * 1024
MLKEM_PUBLIC_BYTES, MLKEM_CIPHERTEXT_BYTES, MLKEM_SEED_BYTES = 1184, 1088, 64


@dataclass(frozen=True, slots=True)
class Found:
    """A liboqs shared library.

    Attributes:
        path: as given to dlopen.
        version: what it says of itself, e.g. `0.16.0`.
    """

    path: str
    version: str


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison of the two engines."""

    name: str
    ok: bool


def find_liboqs(environ: Mapping[str, str] | None = None, uid: int | None = None) -> Found | None:
    """Look for the library where liboqs-python would: the system's, then $OQS_INSTALL_PATH.

    A library in somebody's home runs with our rights: root does not look there.
    """
    env = os.environ if environ is None else environ
    candidates = [found for name in ("oqs", "liboqs") if (found := ctypes.util.find_library(name))]
    if (os.geteuid() if uid is None else uid) != 0:
        root = Path(env.get("OQS_INSTALL_PATH") or Path.home() / "_oqs")
        candidates += [str(root / folder / "liboqs.so") for folder in ("lib", "lib64")]
    for candidate in candidates:
        try:
            library = ctypes.CDLL(candidate)
            library.OQS_version.restype = ctypes.c_char_p
            return Found(candidate, library.OQS_version().decode("ascii", "replace"))
        except (OSError, AttributeError):
            continue
    return None


def load_oqs() -> tuple[Any, Found]:
    """Import `oqs` if that is safe.

    Returns:
        the module, and the library it uses.

    Raises:
        EngineMissing: with the reason; `oqs` was then not imported.
    """
    try:
        wanted = metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError as e:
        raise EngineMissing(
            f"{DISTRIBUTION} is not installed", hint=f"pip install {DISTRIBUTION}"
        ) from e
    found = find_liboqs()
    if found is None:
        raise EngineMissing(
            "there is no liboqs library on this machine, and none is built without being asked",
            hint=BUILD_HINT,
        )
    if found.version.split(".")[:2] != wanted.split(".")[:2]:
        raise EngineMissing(
            f"{found.path} is liboqs {found.version[:20]}; {DISTRIBUTION} {wanted} needs the same"
        )
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it greets on stdout
            import oqs
    except SystemExit as e:
        raise EngineMissing(f"{DISTRIBUTION} gave up: {e}") from e
    except Exception as e:
        raise EngineMissing(f"{DISTRIBUTION} cannot use {found.path}: {e}") from e
    log = logging.getLogger("oqs.oqs")
    for handler in list(log.handlers):
        log.removeHandler(handler)
    return oqs, found


class Liboqs:
    """The operations of the suite that liboqs can do with our keys.

    Raises:
        EngineMissing: it is not there.
    """

    def __init__(self) -> None:
        self._oqs, self.library = load_oqs()

    def verify(self, key: VerifyKey, signature: bytes, data: bytes, context: bytes) -> None:
        """Check a signature with liboqs.

        Raises:
            BadSignature: it is not one.
        """
        # liboqs hands pointers to C: every length is checked here first
        if (
            len(signature) != key.algorithm.signature_bytes
            or len(key.raw) != key.algorithm.public_bytes
        ):
            raise BadSignature(f"a signature of {len(signature)} bytes")
        with self._oqs.Signature(key.algorithm.name) as verifier:
            if context:
                good = verifier.verify_with_ctx_str(data, signature, context, key.raw)
            else:
                good = verifier.verify(data, signature, key.raw)
        if not good:
            raise BadSignature(f"liboqs: not signed by key {key.kid}, or changed since")

    def verify_file(self, key: VerifyKey, signature: bytes, path: Path, context: bytes) -> None:
        """Check a signature over a file's bytes with liboqs, which takes them in one piece.

        Raises:
            BadSignature: it is not one.
            EngineMissing: the file is over 256 MiB.
        """
        if path.stat().st_size > WHOLE_MAX_BYTES:
            raise EngineMissing(
                f"liboqs checks a file in one piece; {path.name} is over 256 MiB",
                hint="leave --engine liboqs away",
            )
        self.verify(key, signature, path.read_bytes(), context)

    def decapsulate(self, seed: bytes, ciphertext: bytes) -> bytes:
        """Open an ML-KEM-768 ciphertext with a 64-byte seed."""
        if len(seed) != MLKEM_SEED_BYTES or len(ciphertext) != MLKEM_CIPHERTEXT_BYTES:
            raise ValueError("an ML-KEM-768 seed has 64 bytes, a ciphertext 1088")
        with self._oqs.KeyEncapsulation("ML-KEM-768") as kem:
            kem.generate_keypair_seed(seed)
            return bytes(kem.decap_secret(ciphertext))

    def encapsulate(self, public: bytes) -> tuple[bytes, bytes]:
        """Make an ML-KEM-768 secret and ciphertext for a public key."""
        if len(public) != MLKEM_PUBLIC_BYTES:
            raise ValueError("an ML-KEM-768 public key has 1184 bytes")
        with self._oqs.KeyEncapsulation("ML-KEM-768") as kem:
            ciphertext, secret = kem.encap_secret(public)
        return bytes(secret), bytes(ciphertext)

    def sign_fresh(self, data: bytes, context: bytes) -> tuple[VerifyKey, bytes]:
        """Sign with a key that liboqs makes and forgets, for the cross-check only."""
        with self._oqs.Signature("ML-DSA-65") as signer:
            public = bytes(signer.generate_keypair())
            signature = bytes(signer.sign_with_ctx_str(data, context))
        return VerifyKey.from_raw(public), signature

    def cross_check(self, signing: SigningKey, recipient: RecipientKey) -> list[Check]:
        """Compare both engines over one key pair, in both directions."""
        from cryptography.hazmat.primitives.asymmetric import mlkem

        data, context = b"cross-check", b"dunes/2048-aes/v1/cross-check"
        signature = signing.sign(data, context)
        checks = [
            _check(
                "ML-DSA-65 signed here, verified by liboqs",
                lambda: self.verify(signing.public, signature, data, context),
            )
        ]

        def foreign_signature() -> None:
            key, made = self.sign_fresh(data, context)
            key.verify(made, data, context)

        checks.append(_check("ML-DSA-65 signed by liboqs, verified here", foreign_signature))
        changed = signature[:-1] + bytes([signature[-1] ^ 1])
        try:
            self.verify(signing.public, changed, data, context)
            checks.append(Check("liboqs refuses a changed signature", ok=False))
        except BadSignature:
            checks.append(Check("liboqs refuses a changed signature", ok=True))
        seed = recipient.seed_bytes()[0]
        key = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed)
        secret, ciphertext = key.public_key().encapsulate()
        checks.append(
            Check(
                "ML-KEM-768 sealed here, opened by liboqs",
                self.decapsulate(seed, ciphertext) == secret,
            )
        )
        secret, ciphertext = self.encapsulate(key.public_key().public_bytes_raw())
        checks.append(
            Check(
                "ML-KEM-768 sealed by liboqs, opened here", key.decapsulate(ciphertext) == secret
            )
        )
        return checks


def _check(name: str, run: Any) -> Check:
    try:
        run()
    except BadSignature:
        return Check(name, ok=False)
    return Check(name, ok=True)
