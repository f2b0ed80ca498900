"""TLS for both ends: a certificate of one's own, and one that is known by its hash."""

import hashlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from dunes.errors import ConfigError, Unavailable, UsageError
from dunes.paths import write_atomic

CERTIFICATE = "cert.pem"
PRIVATE_KEY = "key.pem"
VALID_DAYS = 3650
"""Pinned by its hash, it need not expire before the station does."""
SHA256_DIGITS = 64


class Certificate(NamedTuple):
    """A certificate and its key, as files, and the hash by which it is pinned."""

    cert_path: Path
    key_path: Path
    sha256: str
    own: bool
    """Made here, known to no authority: gateways pin it."""


def fingerprint(text: str) -> str:
    """Read a SHA-256 fingerprint: 64 hex digits, colons and case do not matter.

    Raises:
        UsageError: it is none.
    """
    digits = text.replace(":", "").replace(" ", "").lower()
    if len(digits) != SHA256_DIGITS or any(c not in "0123456789abcdef" for c in digits):
        raise UsageError(
            f"{text[:80]!r} is not the SHA-256 fingerprint of a certificate",
            hint="mcp ground-station serve prints it: 64 hex digits",
        )
    return digits


def find_certificate(data: Path, host: str) -> Certificate:
    """Give the station's own certificate, making it at first.

    Args:
        data: the data directory.
        host: where the station listens; goes into the certificate beside this
            machine's names.
    """
    folder = data / "tls"
    cert, key = folder / CERTIFICATE, folder / PRIVATE_KEY
    if not (cert.exists() and key.exists()):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        cert_pem, key_pem = _make(sorted({host, "localhost", "127.0.0.1", socket.gethostname()}))
        write_atomic(key, key_pem, mode=0o600)
        write_atomic(cert, cert_pem, mode=0o644)
    return Certificate(cert, key, certificate_sha256(cert), own=True)


def certificate_sha256(path: Path) -> str:
    """Give the SHA-256 of a PEM file's first certificate.

    Raises:
        ConfigError: it holds none.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError) as e:
        raise ConfigError(
            f"{path} holds no certificate", hint=f"openssl x509 -in {path} -noout"
        ) from e
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _make(names: Sequence[str]) -> tuple[bytes, bytes]:
    """Make a self-signed certificate (ECDSA P-256) for some names; PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dunes ground station")])
    alternatives: list[x509.GeneralName] = []
    for name in names:
        try:
            alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            alternatives.append(x509.DNSName(name))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(os.urandom(16), "big") >> 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return pem, key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """Make the ground station's side of TLS, 1.2 or newer.

    Raises:
        ConfigError: certificate and key do not belong together, or cannot be read.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate.cert_path, certificate.key_path)
    except (OSError, ssl.SSLError) as e:
        raise ConfigError(
            f"TLS certificate {certificate.cert_path} with key {certificate.key_path}: {e}",
            hint="give --tls-cert and --tls-key as PEM files that belong together",
        ) from e
    return context


def client_context(*, ca_file: str = "", tls_sha256: str = "") -> ssl.SSLContext:
    """Make a gateway's side of TLS: the system's authorities, a file's, or one hash.

    Args:
        ca_file: PEM file of authorities to trust instead of the system's.
        tls_sha256: of the one certificate to trust instead, whoever issued it.

    Raises:
        ConfigError: the file cannot be read.
        UsageError: no fingerprint.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError) as e:
        raise ConfigError(f"ca_file {ca_file}: {e}", hint=f"ls -l {ca_file}") from e
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls_sha256:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _pin(context, fingerprint(tls_sha256))
    return context


class WrongCertificate(ssl.SSLCertVerificationError):
    """The peer's certificate is not the one that is pinned."""


def _pin(context: ssl.SSLContext, wanted: str) -> None:
    """Accept one certificate, on asyncio's connections and on blocking ones.

    The handshake fails before a byte of ours is sent, as a failed verification would.
    """

    def check(certificate: bytes | None) -> None:
        found = hashlib.sha256(certificate or b"").hexdigest()
        if found != wanted:
            raise WrongCertificate(
                f"the certificate is not the pinned one: it has SHA-256 {found}"
            )

    class PinnedObject(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            check(self.getpeercert(binary_form=True))

    class PinnedSocket(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            super().do_handshake(block)
            check(self.getpeercert(binary_form=True))

    context.sslobject_class = PinnedObject
    context.sslsocket_class = PinnedSocket


def request_fingerprint(host: str, port: int, timeout_s: float) -> str:
    """Ask a server for its certificate, trusting nothing, and give its SHA-256.

    For a person to compare with what the ground station prints.

    Raises:
        Unavailable: no answer, or no TLS there.
    """
    context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=timeout_s) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            return hashlib.sha256(secure.getpeercert(binary_form=True)).hexdigest()
    except (OSError, ssl.SSLError) as e:
        raise Unavailable(
            f"no TLS at {host}:{port}: {e}",
            hint="is the ground station up? mcp ground-station serve",
            code="ground-unreachable",
        ) from e
