"""Whom to log in at: presets as data, any issuer by its URL, the simulated site."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from dunes.errors import NotFound, UsageError
from dunes.site import Site
from dunes.text import printable
from sakina.oauth.discovery import Metadata, discover
from sakina.oauth.http import Http, check_url

DEFAULT = "starlink"
FLOWS = ("device", "browser", "client-credentials")


@dataclass(frozen=True, slots=True)
class Provider:
    """An issuer, and what is known about it beforehand.

    Attributes:
        name: of the preset, or the issuer's URL.
        title: for people.
        issuer: its name, to the letter.
        flows: what it is used for.
        client_id: registered for everybody; empty if none is.
        setup: how to come to a credential, a line each.
        pinned: metadata that is known; None: ask the issuer.
        local_scopes: scopes that are enforced here alone, and what they need there.
        service_account: a file with a client id and secret; the simulated site's.
        simulated: the simulated site plays it.
    """

    name: str
    title: str
    issuer: str
    flows: tuple[str, ...] = FLOWS
    client_id: str = ""
    setup: tuple[str, ...] = ()
    pinned: Metadata | None = None
    local_scopes: Mapping[str, str] = field(default_factory=dict)
    service_account: Path | None = None
    simulated: bool = False

    def request_metadata(self, http: Http) -> Metadata:
        """Say what the issuer offers: as pinned, else ask it.

        What a preset pins about methods and scopes holds for the simulated issuer too.
        """
        if self.pinned is not None and not self.simulated:
            return self.pinned
        found = discover(http, self.issuer)
        if self.pinned is not None:
            return replace(found, auth_methods=self.pinned.auth_methods, scopes=self.pinned.scopes)
        return found


def presets() -> dict[str, dict[str, Any]]:
    """Read the presets."""
    text = (files("sakina") / "providers.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def find_provider(name: str, site: Site | None, issuer: str | None = None) -> Provider:
    """Find a provider by the name of a preset, or by its issuer's URL.

    Args:
        name: a preset, or a URL.
        site: the simulated site, if it is up; it plays the presets.
        issuer: another issuer for the preset; then nothing is pinned or simulated.

    Raises:
        UsageError: neither a preset nor a URL.
        NotFound: the site is asked for, and is not up.
    """
    known = presets()
    if "://" in name:
        url = check_url(issuer or name, "issuer")
        return Provider(name, url, url, simulated=_plays(site, url))
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"{', '.join(known)}, or an issuer's URL"
        raise UsageError(
            f"no provider {printable(name, 40)!r}", hint=hint, code="unknown-provider"
        )
    entry = known[name]
    simulated = issuer is None and site is not None and bool(site.identity)
    if issuer is not None:
        check_url(issuer, "issuer")
    elif simulated and site is not None:
        issuer = str(site.identity["issuer"])
    elif "issuer" not in entry:
        raise NotFound("no simulated site is up", hint="dunes sim up", code="no-site")
    pinned = entry.get("metadata")
    original = issuer is None
    return Provider(
        name=name,
        title=entry["title"],
        issuer=issuer or entry["issuer"],
        flows=tuple(entry["flows"]),
        client_id=entry.get("client_id", ""),
        setup=tuple(entry.get("setup", ())),
        pinned=_pinned(entry["issuer"], pinned) if pinned and (original or simulated) else None,
        local_scopes=entry.get("local_scopes", {}),
        service_account=Path(site.identity["service_account"]) if simulated and site else None,
        simulated=simulated,
    )


def _plays(site: Site | None, url: str) -> bool:
    return site is not None and bool(site.identity) and site.identity["issuer"] == url


def _pinned(issuer: str, body: Mapping[str, Any]) -> Metadata:
    import msgspec

    return msgspec.convert({"issuer": issuer, **body}, Metadata)
