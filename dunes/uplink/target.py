"""Destinations: ground stations by name or address, and the keys by which they are known.

A destination is an entry of `uplink.destinations` in the configuration, a ground
station of the simulated site, or an https address. The key that signs its receipts is
pinned: given with `mcp init --ground-key`, or taken on first use and shown.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dunes.errors import ConfigError, NotFound, Unavailable
from dunes.model import check_name
from dunes.paths import Paths, write_atomic
from dunes.settings import Settings
from dunes.site import Site
from dunes.uplink.grounddir import PUBLIC_KEY

if TYPE_CHECKING:
    from dunes.crypto.signing import VerifyKey

STATIONS = "stations"
SITE = "site"
"""In a destination's entry: it is the ground station of that simulated site."""
API_KEY = "api-key"
"""Name of the secret that a gateway presents (`dunes.secrets`)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A ground station to send to.

    Attributes:
        name: as in the profile; the address, for one that is not there.
        url: `https://host:port`.
        tls_sha256: the one certificate to trust; empty: by authorities.
        ca_file: PEM authorities in place of the system's; empty: the system's.
        proxy: an HTTP proxy to go through; empty: none.
        kid: the key that signs its receipts, if the entry names it.
        site: the simulated site that it belongs to; empty for a real one.
        site_key: file of that one's public key.
    """

    name: str
    url: str
    tls_sha256: str = ""
    ca_file: str = ""
    proxy: str = ""
    kid: str = ""
    site: str = ""
    site_key: str = ""

    @property
    def simulated(self) -> bool:
        """Whether it belongs to the simulated site."""
        return bool(self.site)


def gateway_name(settings: Settings, kid: str) -> str:
    """Give this gateway's name: the configured one, or `gw-` and its first key's id."""
    return settings["gateway.id"] or f"gw-{kid[:12]}"


def find_target(settings: Settings, site: Site | None, wanted: str | None) -> Target:
    """Find a destination.

    Args:
        settings: as loaded.
        site: the simulated site, if one is up.
        wanted: a name or an https address; None: the default one.

    Raises:
        NotFound: no destination of that name; the hint has the nearest.
        ConfigError: none was named, and there is no default.
        Unavailable: it is the simulated site's, which is not up.
    """
    entries: Mapping[str, Mapping[str, Any]] = settings["uplink.destinations"]
    if wanted is None:
        wanted = _default(settings, entries, site)
    if wanted.startswith(("https://", "http://")):
        for name, entry in entries.items():
            if str(entry.get("url", "")).rstrip("/") == wanted.rstrip("/"):
                return _from_entry(name, entry, site)
        return Target(wanted.rstrip("/"), wanted)
    if wanted in entries:
        return _from_entry(wanted, entries[wanted], site)
    if site is not None and wanted in site.destinations:
        return _from_site(wanted, site)
    known = sorted({*entries, *(site.destinations if site is not None else ())})
    near = get_close_matches(wanted, known, n=3, cutoff=0.4) or known[:5]
    hint = (
        "did you mean " + " or ".join(near) + "?"
        if near
        else f"mcp init --destination {wanted[:40]}=https://HOST:PORT, or: dunes sim up"
    )
    raise NotFound(f"no destination {wanted[:80]!r}", hint=hint, code="unknown-destination")


def _default(
    settings: Settings, entries: Mapping[str, Mapping[str, Any]], site: Site | None
) -> str:
    if chosen := settings["uplink.destination"]:
        return str(chosen)
    names = list(entries) or list(site.destinations if site is not None else ())
    if len(names) == 1:
        return names[0]
    raise ConfigError(
        "no destination is named, and the profile has " + ("several" if names else "none"),
        hint="name one with --destination: " + ", ".join(names[:5])
        if names
        else "mcp init --destination NAME=https://HOST:PORT",
        code="no-destination",
    )


def _from_entry(name: str, entry: Mapping[str, Any], site: Site | None) -> Target:
    if of_site := str(entry.get(SITE, "")):
        if site is None or name not in site.destinations:
            raise Unavailable(
                f"destination {name} belongs to the simulated site {of_site}, which is not up",
                hint=f"dunes sim up --site {of_site}",
                code="no-site",
            )
        return _from_site(name, site)
    if not isinstance(entry.get("url"), str):
        raise ConfigError(
            f"destination {name} has no url",
            hint=f"mcp init --destination {name}=https://HOST:PORT",
        )
    texts = {key: str(entry.get(key, "")) for key in ("tls_sha256", "ca_file", "proxy", "kid")}
    return Target(name, entry["url"], **texts)


def _from_site(name: str, site: Site) -> Target:
    entry = site.destinations[name]
    return Target(
        name,
        str(entry["url"]),
        tls_sha256=str(entry.get("tls_sha256", "")),
        kid=str(entry.get("kid", "")),
        site=site.name,
        site_key=str(Path(site.ground_data) / PUBLIC_KEY),
    )


def key_path(paths: Paths, name: str) -> Path:
    """Say where the pinned key of a destination lies."""
    if name.startswith("https://"):
        name = "url-" + hashlib.sha256(name.encode()).hexdigest()[:16]
    return paths.config / STATIONS / f"{check_name(name, 'destination')}.pub.pem"


def pin_key(paths: Paths, name: str, key: "VerifyKey") -> Path:
    """Pin a destination's key, in place of an older one; give the file."""
    path = key_path(paths, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, key.pem.encode("ascii"), mode=0o644)
    return path


def pinned_key(paths: Paths, target: Target) -> "VerifyKey | None":
    """Give a destination's pinned key; None if none was ever pinned.

    Raises:
        BadKeyFile: the file holds no key.
        ConfigError: it is not the key that the entry names.
    """
    from dunes.crypto.signing import VerifyKey

    path = Path(target.site_key) if target.simulated else key_path(paths, target.name)
    try:
        key = VerifyKey.from_spki(path.read_bytes())
    except FileNotFoundError:
        return None
    if target.kid and key.kid != target.kid:
        raise ConfigError(
            f"the pinned key of {target.name} is {key.kid}, its entry names {target.kid}",
            hint=f"mcp init --ground-key FILE, or remove {path}",
        )
    return key
