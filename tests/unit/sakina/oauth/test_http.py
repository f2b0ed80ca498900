"""An issuer that is down, slow, somebody else, or no issuer at all."""

import socket
import ssl
import threading
import time as real_time

import pytest

from dunes.errors import UsageError
from dunes.uplink.tls import find_certificate
from sakina.oauth.discovery import discover, parse_metadata, request_keys, well_known
from sakina.oauth.errors import (
    IssuerBusy,
    IssuerSilent,
    NotAnIssuer,
    WrongCertificate,
    WrongIssuer,
)
from sakina.oauth.http import ANSWER_MAX_BYTES, Http, check_url
from sakina.oauth.wait import Wait

WELL_KNOWN = "/.well-known/openid-configuration"
RFC_8414 = "/.well-known/oauth-authorization-server"


def test_an_issuer_says_what_it_offers(issuer, http):
    issuer.answers[WELL_KNOWN] = (
        200,
        issuer.metadata(
            scopes_supported=["openid", 5, "x"], dpop_signing_alg_values_supported=["ES256"]
        ),
    )
    found = discover(http, issuer.url)
    assert issuer.url == found.issuer
    assert f"{issuer.url}/token" == found.token_endpoint
    assert ("client_secret_basic", "private_key_jwt") == found.auth_methods
    assert (("openid", "x"), ("ES256",)) == (found.scopes, found.dpop_algorithms)


def test_an_oauth_server_without_openid_is_found_too(issuer, http):
    issuer.answers[RFC_8414] = issuer.answers.pop(WELL_KNOWN)
    assert issuer.url == discover(http, issuer.url).issuer


def test_the_places_are_those_of_the_specifications():
    assert [
        "https://example.com/tenant/.well-known/openid-configuration",
        "https://example.com/.well-known/oauth-authorization-server/tenant",
    ] == well_known("https://example.com/tenant")


# ---------------------------------------------------------------------- who it is


@pytest.mark.parametrize(
    "named", ["https://evil.example", None, "", 5, ["x"], "same/", "upper"], ids=str
)
def test_an_issuer_that_is_somebody_else_is_refused(issuer, http, named):
    other = {"same/": issuer.url + "/", "upper": issuer.url.upper()}
    issuer.answers[WELL_KNOWN] = (200, issuer.metadata(issuer=other.get(str(named), named)))
    with pytest.raises(WrongIssuer) as caught:
        discover(http, issuer.url)
    assert issuer.url in caught.value.message


@pytest.mark.parametrize(
    "change",
    [
        {"token_endpoint": None},
        {"token_endpoint": ""},
        {"token_endpoint": 5},
        {"token_endpoint": "http://i.example/token"},
        {"token_endpoint": "ftp://i.example/token"},
        {"token_endpoint": "https:///token"},
        {"token_endpoint": "https://user@i.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"revocation_endpoint": "http://127.0.0.1:1/revoke"},
        {"scopes_supported": "openid"},
        {"token_endpoint_auth_methods_supported": {"a": 1}},
    ],
    ids=str,
)
def test_an_issuer_whose_doors_are_elsewhere_or_open_is_refused(change):
    body = {"issuer": "https://i.example", "token_endpoint": "https://i.example/token"} | change
    with pytest.raises(NotAnIssuer):
        parse_metadata(body, "https://i.example")


@pytest.mark.parametrize(
    "url",
    ["http://i.example", "i.example", "", "https://", "https://u:p@i.example", "ws://127.0.0.1",
     "http://127.0.0.1.evil.example", "https://i.example/#x", "https://[::1", "https://i:99999/",
     "http://10.0.0.1/", "https://i.example:0/"],
)  # fmt: skip
def test_secrets_go_over_tls_or_stay_on_this_machine(url):
    with pytest.raises(UsageError):
        check_url(url, "issuer")


@pytest.mark.parametrize("url", ["http://127.0.0.1:5/x", "http://[::1]:5", "http://localhost"])
def test_loopback_needs_no_tls(url):
    assert url == check_url(url, "issuer")


# ---------------------------------------------------------------------- how it answers


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<!doctype html><title>Log in to Hotel Wi-Fi</title>"),
        (200, b""),
        (200, b"[1, 2]"),
        (200, b"null"),
        (200, b"\xff\xfe"),
        (200, b"[" * 100_000),
        (404, b"<html>not here</html>"),
        (403, b""),
        (200, b"\x1f\x8b\x08\x00packed", {"content-encoding": "gzip"}),
    ],
    ids=lambda answer: repr(answer[1][:12]),
)
def test_a_page_is_no_issuer(issuer, http, answer):
    issuer.answers[WELL_KNOWN] = issuer.answers[RFC_8414] = answer
    with pytest.raises(NotAnIssuer) as caught:
        discover(http, issuer.url)
    assert "Hotel" not in caught.value.message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(issuer, http, make_issuer, status):
    elsewhere = make_issuer()
    issuer.answers[WELL_KNOWN] = (status, b"", {"location": f"{elsewhere.url}/x"})
    with pytest.raises(NotAnIssuer, match=r"redirects to 127\.0\.0\.1"):
        discover(http, issuer.url)
    assert [] == elsewhere.received


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({}, None),
        ({"retry-after": "90"}, 90.0),
        ({"retry-after": "Fri, 15 Jan 2027 08:01:00 GMT"}, 60.0),
        ({"retry-after": "Thu, 14 Jan 2027 08:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, 999_999_999.0),
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_issuer_that_cannot_now_says_when(issuer, http, status, headers, expected_s):
    issuer.answers[WELL_KNOWN] = (status, b"<html>busy", headers)
    with pytest.raises(IssuerBusy) as caught:
        discover(http, issuer.url)
    assert expected_s == caught.value.retry_after_s
    assert 75 == caught.value.exit


def test_an_answer_without_end_is_cut_short(issuer, http):
    issuer.answers[WELL_KNOWN] = (200, b"x" * (ANSWER_MAX_BYTES + 1))
    with pytest.raises(NotAnIssuer, match="more than"):
        discover(http, issuer.url)


# ---------------------------------------------------------------------- whether it answers


def test_an_issuer_that_is_down_is_said_to_be():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = Http(timeout_s=2)
    with pytest.raises(IssuerSilent) as caught:
        client.get(f"http://127.0.0.1:{port}/x")
    client.close()
    assert not caught.value.sent, "nothing can have arrived"
    assert 69 == caught.value.exit


def test_a_connection_that_breaks_may_have_carried_the_request(issuer, http):
    issuer.answers["/x"] = lambda _: None
    with pytest.raises(IssuerSilent) as caught:
        http.get(f"{issuer.url}/x")
    assert caught.value.sent


def test_a_socket_that_hangs_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Http(timeout_s=0.3, wait=Wait())
        began_s = real_time.monotonic()
        with pytest.raises(IssuerSilent, match=r"no answer in 0\.3 s") as caught:
            client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/x")
        client.close()
    assert caught.value.sent
    assert real_time.monotonic() - began_s < 3


def test_an_answer_that_drips_is_given_up():
    def drip(listener):
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            try:
                for _ in range(100):
                    connection.sendall(b"x")
                    real_time.sleep(0.05)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        client = Http(timeout_s=0.4, wait=Wait())
        began_s = real_time.monotonic()
        with pytest.raises(IssuerSilent):
            client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/x")
        client.close()
        assert real_time.monotonic() - began_s < 2
        thread.join()


# ---------------------------------------------------------------------- TLS


@pytest.fixture
def tls(tmp_path, make_issuer):
    """An issuer behind a certificate that no authority of this machine knows."""
    certificate = find_certificate(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_path, certificate.key_path)
    return make_issuer(context), certificate


def test_a_certificate_that_nobody_vouches_for_is_refused(tls):
    issuer, _ = tls
    client = Http(timeout_s=5)
    with pytest.raises(WrongCertificate) as caught:
        discover(client, issuer.url)
    client.close()
    assert "--ca-file" in caught.value.hint
    assert [] == issuer.received


def test_an_authority_of_one_s_own_is_believed(tls):
    issuer, certificate = tls
    client = Http(timeout_s=5, ca_file=str(certificate.cert_path))
    assert issuer.url == discover(client, issuer.url).issuer
    client.close()


def test_a_certificate_for_another_name_is_refused(tls, make_issuer):
    _, certificate = tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert_path, certificate.key_path)
    other = make_issuer(context, "127.0.0.2")
    client = Http(timeout_s=5, ca_file=str(certificate.cert_path))
    with pytest.raises(WrongCertificate):
        client.get(other.url + "/x")
    client.close()
    assert [] == other.received


def test_plain_text_where_tls_should_be_is_refused(issuer):
    client = Http(timeout_s=5)
    with pytest.raises(WrongCertificate):
        client.get(issuer.url.replace("http:", "https:") + "/x")
    client.close()


def test_no_proxy_is_asked_for_loopback(issuer, http, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert issuer.url == discover(http, issuer.url).issuer


def test_keys_that_are_none_are_refused(issuer, http):
    metadata = discover(http, issuer.url)
    assert issuer.key.kid == request_keys(http, metadata)[0]["kid"]
    for answer in ((200, {"keys": 5}), (200, b"<html>"), (404, {"keys": []})):
        issuer.answers["/jwks"] = answer
        with pytest.raises(NotAnIssuer):
            request_keys(http, metadata)
