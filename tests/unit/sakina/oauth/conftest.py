"""An issuer that does what a test tells it: real HTTP on loopback, answers from a script."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from dunes.clock import Clock
from dunes.paths import find_paths
from sakina.oauth.http import Http
from sakina.oauth.jose import SigningKey
from sakina.oauth.wait import Wait

NOW_S = 1_800_000_000


class Time:
    """Both clocks of a test; sleeping passes the time at once."""

    def __init__(self):
        self.mono_s, self.wall_s, self.slept = 100.0, float(NOW_S), []
        self.wait = Wait(Clock(lambda: self.mono_s, lambda: int(self.wall_s * 1e6)), self.sleep)

    def sleep(self, seconds):
        assert seconds >= 0
        self.slept.append(round(seconds, 3))
        self.mono_s += seconds
        self.wall_s += seconds


class Received:
    """A request that arrived."""

    def __init__(self, method, target, headers, body):
        self.method, self.target = method, target
        self.path = urlsplit(target).path
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.form = dict(parse_qsl(body.decode()))


class ScriptedIssuer:
    """Answers from a table: path → a function of the request, or (status, body, headers).

    A list gives its answers one after the other; the last one stays.
    """

    def __init__(self, context=None, host="127.0.0.1"):
        self.answers, self.received = {}, []
        self.key = SigningKey.generate()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: no delayed acknowledgement

            def handle_one(self):
                size = int(self.headers.get("content-length", 0))
                request = Received(self.command, self.path, self.headers, self.rfile.read(size))
                issuer.received.append(request)
                found = issuer.answers.get(request.path, (404, {"error": "not_found"}))
                if isinstance(found, list):
                    found = found.pop(0) if len(found) > 1 else found[0]
                if callable(found):
                    found = found(request)
                if found is None:
                    self.close_connection = True
                    return
                status, body, *more = found
                headers = more[0] if more else {}
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response_only(status)
                for name, value in {"content-length": str(len(raw)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = handle_one  # noqa: N815 - the names of http.server

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        scheme = "http"
        if context is not None:
            scheme = "https"
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{scheme}://{host}:{self.server.server_address[1]}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.thread.start()
        self.answers["/.well-known/openid-configuration"] = (200, self.metadata())
        self.answers["/jwks"] = (200, {"keys": [self.jwk()]})

    def metadata(self, **more):
        return {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/token",
            "authorization_endpoint": f"{self.url}/authorize",
            "device_authorization_endpoint": f"{self.url}/device",
            "revocation_endpoint": f"{self.url}/revoke",
            "jwks_uri": f"{self.url}/jwks",
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
        } | more

    def jwk(self, **more):
        return {**self.key.jwk(), "kid": self.key.kid, "use": "sig", "alg": "ES256"} | more

    def id_token(self, *, key=None, header=None, **claims):
        body = {
            "iss": self.url, "aud": "cli", "sub": "ada", "iat": NOW_S, "exp": NOW_S + 300,
        }  # fmt: skip
        body = {k: v for k, v in (body | claims).items() if v is not None}
        return (key or self.key).sign({"kid": self.key.kid, **(header or {})}, body)

    def posts(self, path="/token"):
        return [each for each in self.received if each.path == path]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def issuer():
    running = ScriptedIssuer()
    yield running
    running.close()


@pytest.fixture
def make_issuer():
    running = []

    def make(context=None, host="127.0.0.1"):
        running.append(ScriptedIssuer(context, host))
        return running[-1]

    yield make
    for each in running:
        each.close()


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def http(time):
    client = Http(timeout_s=5, wait=time.wait)
    yield client
    client.close()


@pytest.fixture
def paths(tmp_path):
    return find_paths({"DUNES_HOME": str(tmp_path / "dunes")})


class Somebody:
    """The person at the terminal; `at` is called with the code or the page."""

    def __init__(self, at=lambda _: None):
        self.at, self.warnings, self.codes, self.pages = at, [], [], []

    def show_code(self, code):
        self.codes.append(code)
        self.at(code)

    def show_page(self, url, *, opened):
        self.pages.append((url, opened))
        self.at(url)

    def warn(self, text):
        self.warnings.append(text)


@pytest.fixture
def somebody():
    return Somebody
