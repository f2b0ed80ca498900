"""Entropy services over real TLS: what is sent, what is believed, what is refused."""

import base64
import datetime as dt
import http.server
import json
import os
import ssl
import threading
import time
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dunes.crypto import keygen, sources
from dunes.crypto.errors import EntropyFailed

KEY = "planted-service-key-5512"


def write_certificate(folder, address):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "entropy test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))


def answer(kind, size):
    """Give the reply's body."""
    noise = os.urandom(size * (1024 if kind == "qrypt" else 1))
    parts = [base64.b64encode(noise[i : i + 1024]).decode() for i in range(0, len(noise), 1024)]
    replies = {
        "anu": {"success": True, "type": "uint8", "data": list(noise)},
        "qrypt": {"random": parts, "size": size},
        "lfd": {"qrn": noise.hex(), "length": size},
        "broken": {"qrn": bytes(size).hex(), "length": size},
        "short": {"qrn": "00", "length": 1},
        "large": {"qrn": " " * 200_000},
    }
    return json.dumps(replies[kind]).encode() if kind in replies else b""


class Service(http.server.BaseHTTPRequestHandler):
    """Answers as the services document, or badly."""

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        kind, _, query = self.path.strip("/").partition("?")
        size = int(query.partition("size=")[2].split("&")[0] or 0)
        if kind == "slow":
            time.sleep(1.5)
        status = {"busy": 503, "elsewhere": 302}.get(kind, 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()
        with_suppressed_reset(self.wfile.write, answer(kind, size))

    def log_message(self, *_):
        """Say nothing."""


def with_suppressed_reset(write, body):
    try:
        write(body)
    except OSError:
        return


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that hangs up is what some tests are about."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    write_certificate(folder, "127.0.0.1")
    server = Server(("127.0.0.1", 0), Service)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    server.base = f"https://127.0.0.1:{server.server_address[1]}"
    server.ca_file = str(folder / "cert.pem")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def draw(service, name, kind, **more):
    return sources.draw(
        f"http:{name}",
        512,
        **{
            "api_key": KEY,
            "url": f"{service.base}/{kind}?size={{size}}",
            "ca_file": service.ca_file,
        }
        | more,
    )


@pytest.mark.parametrize(
    ("name", "header", "value"),
    [("anu", "x-api-key", KEY), ("qrypt", "authorization", f"Bearer {KEY}"), ("lfd", "", "")],
)
def test_a_service_is_asked_as_it_documents(service, name, header, value):
    service.seen.clear()
    found = draw(service, name, name)
    assert (64, True, f"http:{name}") == (len(found.data), found.quantum, found.source)
    assert "0 bits of entropy credited" in found.statement
    ((path, headers),) = service.seen
    assert KEY not in path
    sent = {key.lower(): text for key, text in headers.items()}
    assert value == sent.get(header, "")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("broken", "health test"),
        ("short", "sent 1 bytes"),
        ("large", "over 64 KiB"),
        ("busy", "answered 503"),
        ("elsewhere", "answered 302"),
        ("none", "something else"),
    ],
)
def test_a_service_that_misbehaves_is_named_and_not_used(service, kind, reason):
    with pytest.raises(EntropyFailed, match=reason):
        draw(service, "lfd", kind)


def test_a_silent_service_is_given_up(service):
    begun = time.monotonic()
    with pytest.raises(EntropyFailed, match="no answer"):
        draw(service, "lfd", "slow", timeout_s=0.2)
    assert time.monotonic() - begun < 1.4


def test_a_service_with_a_certificate_of_nobody_is_not_believed(service):
    with pytest.raises(EntropyFailed, match="no answer"):
        draw(service, "lfd", "lfd", ca_file="")


def test_a_key_is_made_with_a_service_and_says_so(service):
    wanted = keygen.Wanted("gw", "gateway", source="http:lfd", require_quantum=True)
    made = keygen.make(wanted, url=f"{service.base}/lfd?size={{size}}", ca_file=service.ca_file)
    account = made.account.as_document()
    assert (512, 0, True) == (
        account["os"],
        account["quantum"]["credited_bits"],
        account["quantum"]["quantum"],
    )


def test_offline_the_operating_system_is_used_alone_and_the_reason_kept():
    wanted = keygen.Wanted("gw", "gateway", source="http:lfd")
    made = keygen.make(wanted, url="https://127.0.0.1:1/?size={size}")
    assert ("", True) == (made.account.source, "no answer" in made.dropped)
