"""Whom to log in at, and how: presets, URLs, the simulated site."""

import json

import pytest

from dunes.errors import DataError, DunesError, NotFound, UsageError
from dunes.secrets import Secret
from dunes.site import Site
from sakina.oauth.clientauth import Client
from sakina.preparing import choose_flow, read_service_account
from sakina.providers import Provider, find_provider, presets
from sakina.scopes import parse_scopes

SITE = Site("lunar", identity={"issuer": "http://127.0.0.1:5", "service_account": "/x/sa.json"})
MACHINE = Client("id", Secret("s"))
PERSON = Client("id")
ANY = Provider("https://i.example", "an issuer", "https://i.example")


def test_starlink_is_as_its_documentation_says():
    found = find_provider("starlink", None)
    assert "https://api.starlink.com/auth" == found.issuer == found.pinned.issuer
    assert "https://starlink.com/api/auth/connect/token" == found.pinned.token_endpoint
    assert ("client_secret_post",) == found.pinned.auth_methods
    assert ("client-credentials",) == found.flows
    assert {"Device telemetry, View"} == set(found.local_scopes.values())
    assert {"telemetry", "habitat-data", "rover-data", "rover-telemetry"} == set(
        found.local_scopes
    )
    assert not found.simulated


def test_a_pinned_issuer_is_not_asked_what_it_offers():
    found = find_provider("starlink", None)
    assert found.pinned == found.request_metadata(None)


def test_the_running_site_plays_starlink_with_its_ways(issuer, http):
    site = Site("lunar", identity={"issuer": issuer.url, "service_account": "/x/sa.json"})
    found = find_provider("starlink", site)
    assert (True, issuer.url, "/x/sa.json") == (
        found.simulated, found.issuer, str(found.service_account),
    )  # fmt: skip
    metadata = found.request_metadata(http)
    assert (("client_secret_post",), issuer.url) == (metadata.auth_methods, metadata.issuer)
    assert f"{issuer.url}/token" == metadata.token_endpoint


def test_a_site_without_an_identity_provider_plays_nobody():
    assert not find_provider("starlink", Site("lunar")).simulated


def test_another_issuer_for_a_preset_is_asked_itself():
    found = find_provider("starlink", SITE, "https://other.example")
    assert ("https://other.example", None, False) == (
        found.issuer, found.pinned, found.simulated,
    )  # fmt: skip


def test_any_issuer_is_good_by_its_url_and_the_site_s_is_known_as_such():
    assert "https://i.example/t" == find_provider("https://i.example/t", SITE).issuer
    assert not find_provider("https://i.example/t", SITE).simulated
    assert find_provider("http://127.0.0.1:5", SITE).simulated


def test_the_site_s_own_name_needs_the_site():
    assert ("sakina", True) == (
        find_provider("site", SITE).client_id, find_provider("site", SITE).simulated,
    )  # fmt: skip
    with pytest.raises(NotFound) as caught:
        find_provider("site", None)
    assert "dunes sim up" == caught.value.hint


@pytest.mark.parametrize("name", ["starlnk", "", "http://i.example", "x\x1b[2J"])
def test_another_name_is_refused(name):
    with pytest.raises(UsageError) as caught:
        find_provider(name, None)
    assert "\x1b" not in caught.value.message


@pytest.mark.parametrize("name", presets())
def test_every_preset_says_what_a_person_needs(name):
    entry = presets()[name]
    assert {"title", "flows", "setup"} <= set(entry)
    assert set(entry["flows"]) <= {"device", "browser", "client-credentials"}


# ---------------------------------------------------------------------- how


@pytest.mark.parametrize(
    ("client", "environ", "terminal", "expected"),
    [
        (MACHINE, {"DISPLAY": ":0"}, True, "client-credentials"),
        (PERSON, {}, True, "device"),
        (PERSON, {"DISPLAY": ":0"}, True, "browser"),
        (PERSON, {"WAYLAND_DISPLAY": "wayland-0"}, True, "browser"),
        (PERSON, {"DISPLAY": ":0"}, False, "device"),
        (PERSON, {"DISPLAY": ":0", "SSH_CONNECTION": "1 2 3 4"}, True, "device"),
        (PERSON, {"DISPLAY": ":0", "SSH_TTY": "/dev/pts/0"}, True, "device"),
    ],
)
def test_a_flow_is_chosen_by_what_is_there(monkeypatch, client, environ, terminal, expected):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert expected == choose_flow(ANY, client, "auto", environ)


def test_a_flow_that_was_asked_for_is_taken_or_refused():
    assert "browser" == choose_flow(ANY, PERSON, "pkce", {})
    starlink = find_provider("starlink", None)
    assert "client-credentials" == choose_flow(starlink, MACHINE, "auto", {})
    with pytest.raises(UsageError, match="not logged in at by device"):
        choose_flow(starlink, MACHINE, "device", {})


def test_a_service_account_is_read_and_only_by_its_owner(tmp_path):
    path = tmp_path / "sa.json"
    path.write_text(json.dumps({"client_id": "a", "client_secret": "hush"}))
    path.chmod(0o600)
    assert Client("a", Secret("hush")) == read_service_account(path)
    path.chmod(0o640)
    with pytest.raises(DunesError, match="mode 0640"):
        read_service_account(path)
    for raw in (b"{", b"[]", b'{"client_id": "a"}', b'"hush"'):
        path.write_bytes(raw)
        path.chmod(0o600)
        with pytest.raises(DataError) as caught:
            read_service_account(path)
        assert "hush" not in caught.value.message


def test_scopes_are_given_apart_or_together():
    assert ("a", "b:c", "d") == parse_scopes(["a b:c", "d", "a"])
    assert () == parse_scopes([" "])
    for bad in ('a"', "a\\b", "é", "a\x00", "x" * 201):
        with pytest.raises(UsageError):
            parse_scopes([bad])
