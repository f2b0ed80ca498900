"""The gateway's profile: who it is, where its ground station is, how they know each other."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dunes.crypto.identity import Identity, ensure_identity
from dunes.crypto.truststore import Role, TrustStore
from dunes.errors import DataError, Denied, NotFound, TryLater, Unavailable, UsageError
from dunes.model import check_name
from dunes.paths import write_atomic
from dunes.secrets import Given, Secret, load_secret, store_secret
from dunes.settings import Settings, profile_path, write_profile
from dunes.site import Site
from dunes.uplink.enroll import AlreadyEnrolled, enroll
from dunes.uplink.grounddir import PUBLIC_DOCUMENT
from dunes.uplink.publickey import PublicKey, read_public_key
from dunes.uplink.target import (
    API_KEY,
    SITE,
    Target,
    find_target,
    gateway_name,
    key_path,
    pin_key,
    pinned_key,
)
from dunes.uplink.tls import fingerprint, request_fingerprint

PUBLIC_KEY = "gateway.pub.pem"
API_KEY_BYTES = 32
HTTPS_PORT = 443


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `mcp init` was asked for; None leaves a setting as it is.

    Attributes:
        router: address of the Starlink router.
        mesh_id: name of the mesh around the gateway.
        gateway: name of this gateway.
        destinations: ground stations: name to address.
        tls_sha256: the one certificate of the destination to trust.
        ca_file: PEM authorities to trust for it.
        proxy: HTTP proxy to go through.
        ground_key: file with the key that signs its receipts.
        api_key: what this gateway presents.
        timeout_s: how long a ground station may take to answer.
        dry_run: report, and change nothing.
    """

    router: str | None = None
    mesh_id: str | None = None
    gateway: str | None = None
    destinations: Mapping[str, str] = field(default_factory=dict)
    tls_sha256: str = ""
    ca_file: str = ""
    proxy: str = ""
    ground_key: Path | None = None
    api_key: Given | None = None
    timeout_s: float = 5.0
    dry_run: bool = False


@dataclass(slots=True)
class DestinationInit:
    """A ground station of the profile.

    Attributes:
        name: as `mcp sync --destination` takes it.
        url: its address.
        station: id of the key that signs its receipts; empty if that is not known yet.
        key: `given`, `kept`, `first use` (taken now: compare it), `site`, or `later`
            (at the first sync).
        enrolled: this gateway may write there, as far as is known here.
        default: used where none is named.
    """

    name: str
    url: str
    station: str
    key: str
    enrolled: bool
    default: bool


@dataclass(slots=True)
class InitReport:
    """The gateway's profile after `mcp init`.

    Attributes:
        gateway: its name at ground stations.
        kid: id of its signing key.
        public_key: file with its public key, for enrolment.
        identity: `made` or `kept`.
        api_key: `given`, `made` or `kept`.
        router: address of the Starlink router.
        mesh_id: name of the mesh.
        destinations: ground stations.
        profile: the file that was written.
        changed: whether anything was changed.
        dry_run: nothing was written.
        simulated: the simulated site is used.
        notes: what a person should know.
        hints: what to do next.
    """

    gateway: str
    kid: str
    public_key: str
    identity: str
    api_key: str
    router: str
    mesh_id: str
    destinations: list[DestinationInit] = field(default_factory=list)
    profile: str = ""
    changed: bool = False
    dry_run: bool = False
    simulated: bool = False
    notes: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)


def parse_destination(text: str) -> tuple[str, str]:
    """Read `NAME=URL`.

    Raises:
        UsageError: it is not that.
    """
    name, equals, url = text.partition("=")
    if not equals or not url.startswith("https://"):
        raise UsageError(
            f"--destination {text[:120]!r} is not NAME=https://HOST:PORT",
            hint="--destination earth-gs=https://ground.example:8443",
        )
    try:
        return check_name(name, "destination"), url.rstrip("/")
    except DataError as e:
        raise UsageError(e.message, hint=e.hint) from e


def set_up(wanted: Wanted, settings: Settings, site: Site | None) -> InitReport:
    """Write the profile, make what is missing, and join the simulated site if one is up.

    Again with the same is harmless.

    Raises:
        UsageError: options that do not go together.
        DunesError: a file, a key, a ground station that is somebody else.
    """
    if (wanted.tls_sha256 or wanted.ca_file or wanted.ground_key or wanted.proxy) and len(
        wanted.destinations
    ) != 1:
        raise UsageError(
            "--tls-sha256, --ca-file, --ground-key and --proxy belong to one --destination",
            hint="mcp init --destination NAME=URL with them; once for each",
        )
    if wanted.dry_run:
        return _planned(wanted, settings, site)
    identity, made = _identity(settings)
    gateway = wanted.gateway or gateway_name(settings, identity.kid)
    check_name(gateway, "gateway")
    api_key, api_key_state = _api_key(wanted.api_key, settings)
    public = settings.paths.ready(settings.paths.config) / PUBLIC_KEY
    pem = identity.signing.public.pem.encode("ascii")
    published = not public.exists() or public.read_bytes() != pem
    if published:
        write_atomic(public, pem, mode=0o644)
    changes, entries = _changes(wanted, settings, site, gateway)
    report = InitReport(
        gateway,
        identity.kid,
        str(public),
        "made" if made else "kept",
        api_key_state,
        str(changes.get("starlink.router_ip", settings["starlink.router_ip"])),
        str(changes.get("mesh.id", settings["mesh.id"])),
        profile=str(profile_path(settings.paths)),
        simulated=site is not None and any(SITE in entry for entry in entries.values()),
    )
    given = _given_key(wanted, report)
    hidden = write_profile(settings, changes) if changes else []
    report.notes += [
        f"{key} was written, but {settings.origin(key)} outranks the profile" for key in hidden
    ]
    report.changed = bool(changes) or made or published or api_key_state != "kept"
    default = str(changes.get("uplink.destination", settings["uplink.destination"]))
    for name, entry in entries.items():
        row = _join(name, entry, settings, site, wanted, given, (gateway, pem, api_key), report)
        row.default = name == default or len(entries) == 1
        report.destinations.append(row)
    _hints(report)
    return report


def _identity(settings: Settings) -> tuple[Identity, bool]:
    from dunes.crypto.identity import identity_path

    existed = identity_path(settings.paths).exists()
    return ensure_identity(settings.paths), not existed


def _api_key(given: Given | None, settings: Settings) -> tuple[Secret, str]:
    """Give the key that this gateway presents, making one at random if there is none."""
    try:
        stored: Secret | None = load_secret(settings.paths, API_KEY)
    except NotFound:
        stored = None
    if given is not None:
        if stored is not None and stored == given.secret:
            return stored, "kept"
        store_secret(settings.paths, API_KEY, given.secret)
        return given.secret, "given"
    if stored is not None:
        return stored, "kept"
    made = Secret(secrets.token_urlsafe(API_KEY_BYTES))
    store_secret(settings.paths, API_KEY, made)
    return made, "made"


def _changes(
    wanted: Wanted, settings: Settings, site: Site | None, gateway: str
) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
    """Say what the profile is to have in addition, and give all its destinations."""
    entries: dict[str, Mapping[str, Any]] = dict(settings["uplink.destinations"])
    new: dict[str, Mapping[str, Any]] = {}
    for name, url in wanted.destinations.items():
        texts = {
            "url": url,
            "tls_sha256": fingerprint(wanted.tls_sha256) if wanted.tls_sha256 else "",
            "ca_file": str(Path(wanted.ca_file).absolute()) if wanted.ca_file else "",
            "proxy": wanted.proxy,
        }
        new[name] = {key: text for key, text in texts.items() if text}
        old = entries.get(name, {})
        if old.get("url") == url and set(new[name]) == {"url"}:
            new[name] = dict(old)  # named again without options: as it was
    if site is not None and not wanted.destinations:
        new |= {n: {SITE: site.name} for n in site.destinations if n not in entries}
    entries |= new
    changes: dict[str, Any] = {}
    simple = {
        "starlink.router_ip": wanted.router,
        "mesh.id": wanted.mesh_id,
        "gateway.id": gateway,
    }
    changes |= {
        key: value
        for key, value in simple.items()
        if value is not None and (settings[key] != value or settings.origin(key) == "default")
    }
    if entries != settings["uplink.destinations"]:
        changes["uplink.destinations"] = entries
    if not settings["uplink.destination"] and new:
        changes["uplink.destination"] = next(iter(new))
    return changes, entries


def _given_key(wanted: Wanted, report: InitReport) -> PublicKey | None:
    if wanted.ground_key is None:
        return None
    given = read_public_key(wanted.ground_key)
    if given.key.kid == report.kid:
        raise UsageError(
            f"{wanted.ground_key} is this gateway's own key",
            hint="the ground station's is station.pub.maml in its --data directory",
        )
    return given


def _join(
    name: str,
    entry: Mapping[str, Any],
    settings: Settings,
    site: Site | None,
    wanted: Wanted,
    given: PublicKey | None,
    self_: tuple[str, bytes, Secret],
    report: InitReport,
) -> DestinationInit:
    """Get to know one ground station, as far as that is possible now."""
    gateway, pem, api_key = self_
    if SITE in entry:
        if site is None or name not in site.destinations:
            return DestinationInit(name, "", "", "site", enrolled=False, default=False)
        target = find_target(settings, site, name) if name in site.destinations else None
        return _join_site(name, site, target, settings, (gateway, pem, api_key), report)
    target = Target(
        name,
        str(entry["url"]),
        str(entry.get("tls_sha256", "")),
        str(entry.get("ca_file", "")),
        str(entry.get("proxy", "")),
        str(entry.get("kid", "")),
    )
    row = DestinationInit(name, target.url, "", "later", enrolled=False, default=False)
    if name in wanted.destinations and given is not None:
        pin_key(settings.paths, name, given.key)
        if given.document:
            store = TrustStore.at(settings.paths)
            store.add(given.document, [Role.GROUND_STATION], _now_us())
        else:
            report.notes.append(
                f"a PEM file says nothing of whom to seal to: the first sync asks {name} for it; "
                "its station.pub.maml as --ground-key says it now"
            )
        row.station, row.key = given.key.kid, "given"
    elif (known := pinned_key(settings.paths, target)) is not None:
        row.station, row.key = known.kid, "kept"
    else:
        _first_use(row, target, settings, wanted.timeout_s, report)
    return row


def _join_site(
    name: str,
    site: Site,
    target: Target | None,
    settings: Settings,
    self_: tuple[str, bytes, Secret],
    report: InitReport,
) -> DestinationInit:
    """Enrol at the simulated site's ground station, which is ours to write to."""
    gateway, pem, api_key = self_
    data = Path(site.ground_data)
    try:
        new = enroll(data, gateway, pem.decode("ascii"), api_key)
    except AlreadyEnrolled as e:
        raise Denied(
            e.message,
            hint="after dunes keys rotate: mcp sync shows it the new key; else: "
            f"mcp ground-station revoke {gateway} --data {data}",
            code=e.code,
        ) from e
    if (document := data / PUBLIC_DOCUMENT).exists():
        TrustStore.at(settings.paths).add(document.read_bytes(), [Role.GROUND_STATION], _now_us())
    url = str(site.destinations[name].get("url", ""))
    kid = str(site.destinations[name].get("kid", ""))
    report.changed |= new
    if new:
        report.notes.append(
            f"enrolled {gateway} at {name}, the ground station of the simulated site {site.name}"
        )
    return DestinationInit(
        name, target.url if target else url, kid, "site", enrolled=True, default=False
    )


def _first_use(
    row: DestinationInit,
    target: Target,
    settings: Settings,
    timeout_s: float,
    report: InitReport,
) -> None:
    """Take the ground station's key on first use, and show it."""
    import asyncio

    from dunes.uplink.acquaint import request_station, trust_station

    try:
        station = asyncio.run(request_station(target, timeout_s))
    except (TryLater, Unavailable) as e:
        report.notes.append(
            f"{target.name} did not answer ({e.message}); its key will be taken at the first sync"
        )
        return
    except Denied as e:
        report.notes.append(f"{target.name}: {e.message}")
        shown = _shown_certificate(target, timeout_s)
        if shown:
            report.hints.append(
                f"if the ground station printed this fingerprint: mcp init --destination "
                f"{target.name}={target.url} --tls-sha256 {shown}"
            )
        return
    path = pin_key(settings.paths, target.name, station.key)
    trust_station(settings.paths, station, _now_us())
    row.station, row.key = station.key.kid, "first use"
    report.changed = True
    report.notes.append(
        f"{target.name} signs its receipts with key {station.key.kid}; taken on first use and "
        f"pinned in {path}. Compare it with what mcp ground-station serve prints"
    )


def _shown_certificate(target: Target, timeout_s: float) -> str:
    import httpx

    url = httpx.URL(target.url)
    try:
        return request_fingerprint(url.host, url.port or HTTPS_PORT, timeout_s)
    except Unavailable:
        return ""


def _hints(report: InitReport) -> None:
    """Say what to do next."""
    strangers = [row.name for row in report.destinations if not row.enrolled and row.url]
    if strangers:
        report.hints.append(
            f"at the ground station: mcp ground-station enroll {report.gateway} --key "
            f"{Path(report.public_key).name} --api-key-file FILE --data DIR"
        )
    if not report.destinations:
        report.hints.append("mcp init --destination NAME=https://HOST:PORT, or: dunes sim up")
    elif not strangers:
        report.hints.append("dunes ingest --table lunar_telemetry FILE, then: mcp sync")


def _planned(wanted: Wanted, settings: Settings, site: Site | None) -> InitReport:
    """Say what would be done."""
    from dunes.crypto.errors import NoIdentity
    from dunes.crypto.identity import load_identity

    try:
        kid = load_identity(settings.paths).kid
    except NoIdentity:
        kid = ""
    gateway = wanted.gateway or settings["gateway.id"] or (f"gw-{kid[:12]}" if kid else "")
    changes, entries = _changes(wanted, settings, site, gateway or "gw-")
    return InitReport(
        gateway,
        kid,
        str(settings.paths.config / PUBLIC_KEY),
        "kept" if kid else "made",
        "given" if wanted.api_key else "kept",
        str(changes.get("starlink.router_ip", settings["starlink.router_ip"])),
        str(changes.get("mesh.id", settings["mesh.id"])),
        [
            DestinationInit(
                name,
                str(entry.get("url", "")),
                "",
                "kept" if key_path(settings.paths, name).exists() else "later",
                enrolled=False,
                default=False,
            )
            for name, entry in entries.items()
        ],
        str(profile_path(settings.paths)),
        changed=bool(changes) or not kid,
        dry_run=True,
        simulated=site is not None,
        notes=["would write: " + ", ".join(sorted(changes))] if changes else [],
    )


def _now_us() -> int:
    from dunes.clock import SYSTEM_CLOCK

    return SYSTEM_CLOCK.unix_us()
