"""From what a person typed to a login that can be made: provider, client, flow, store."""

import json
import os
import sys
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dunes.crypto import keyio
from dunes.errors import DataError, NotFound, UsageError
from dunes.paths import Paths
from dunes.secrets import Secret, given_secret, parse_secret
from dunes.site import running_site
from dunes.text import printable
from dunes.units import duration_s
from sakina.foreign import with_token
from sakina.grant import Grant
from sakina.journal import Journal
from sakina.login import Person, Plan, keep, log_in, offers_dpop, warnings_of
from sakina.memory import Memory, load_memory
from sakina.oauth.clientauth import Client
from sakina.oauth.errors import IssuerRefused, NoCredential
from sakina.oauth.http import TIMEOUT_S, Http
from sakina.oauth.jose import SigningKey
from sakina.oauth.revoke import revoke
from sakina.oauth.wait import SYSTEM_WAIT, Wait
from sakina.providers import DEFAULT, Provider, find_provider
from sakina.scopes import parse_scopes
from sakina.session import check_profile
from sakina.store import TokenStore
from sakina.store.choose import choose_store

STDIN = "-"
FLOWS = ("auto", "device", "browser", "client-credentials")
ALIASES = {"pkce": "browser"}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was typed after `sakina auth-flow`, unchecked."""

    provider: str | None = None
    scopes: tuple[str, ...] = ()
    profile: str = "default"
    flow: str = "auto"
    issuer: str | None = None
    client_id: str | None = None
    client_secret_file: str | None = None
    client_key: Path | None = None
    client_key_alg: str = "ES256"
    resource: str = ""
    audience: str = ""
    browser: bool = True
    redirect_port: int = 0
    dpop: str = "auto"
    timeout: str | None = None
    token_store: str | None = None
    in_clear: bool = False
    allow_less: bool = False
    with_token: bool = False
    ca_file: Path | None = None


def make_login(
    paths: Paths,
    wishes: Wishes,
    person: Person,
    *,
    environ: Mapping[str, str] | None = None,
    wait: Wait = SYSTEM_WAIT,
) -> tuple[Grant, str]:
    """Check what was typed, try the store, log in, keep the login.

    Returns:
        The login, and the name of the store that keeps it.
    """
    env = os.environ if environ is None else environ
    _check(wishes)
    profile = check_profile(wishes.profile)
    scopes = parse_scopes(wishes.scopes)
    timeout_s = None if wishes.timeout is None else duration_s(wishes.timeout)
    memory = load_memory(paths)
    name = wishes.provider or memory.provider or DEFAULT
    provider = find_provider(name, running_site(paths), wishes.issuer)
    _check_scopes(provider, scopes)
    token = _stdin_token() if wishes.with_token else None
    client = find_client(provider, wishes, env, person)
    store = _ready_store(paths, memory, wishes, env, person)
    ca_file = "" if wishes.ca_file is None else str(wishes.ca_file.absolute())
    http = Http(timeout_s=min(timeout_s or TIMEOUT_S, TIMEOUT_S), ca_file=ca_file, wait=wait)
    try:
        metadata = provider.request_metadata(http)
        plan = Plan(
            profile=profile,
            provider=name,
            flow=choose_flow(provider, client, wishes.flow, env),
            metadata=metadata,
            client=client,
            scopes=scopes,
            local_scopes=bool(provider.local_scopes),
            resource=wishes.resource,
            audience=wishes.audience,
            login_hint="" if profile == "default" else profile,
            timeout_s=timeout_s,
            redirect_port=wishes.redirect_port,
            open_page=webbrowser.open if wishes.browser else None,
            dpop=_dpop(wishes.dpop, client, offered=offers_dpop(metadata)),
            allow_less=wishes.allow_less,
            secret_file=_secret_file(wishes),
            key_file=wishes.client_key,
            ca_file=ca_file,
            simulated=provider.simulated,
        )
        journal = Journal(paths, wait)
        if token is not None:
            grant = with_token(plan, token, wait.unix_s())
            keep(store, journal, grant)
        else:
            grant = _log_in(plan, http, store, journal, person)
        for text in warnings_of(grant, plan):
            person.warn(text)
        if store.name == "none" and token is None:
            revoke(http, client, grant)
            person.warn("nothing was kept, and the token was given back (--token-store none)")
    finally:
        http.close()
    _remember(memory, store.name, name)
    return grant, store.name


def _remember(memory: Memory, store: str, provider: str) -> None:
    """Remember a first provider, and a store that keeps something."""
    before = (memory.token_store, memory.provider)
    memory.token_store = memory.token_store if store == "none" else store
    memory.provider = memory.provider or provider
    if before != (memory.token_store, memory.provider):
        memory.save()


def _log_in(plan: Plan, http: Http, store: TokenStore, journal: Journal, person: Person) -> Grant:
    try:
        return log_in(plan, http, store, journal, person)
    except IssuerRefused as e:
        if plan.simulated and e.error == "invalid_client":
            e.hint = "the simulated site answers for the provider; the real one: dunes sim down"
        raise


def _check(wishes: Wishes) -> None:
    if ALIASES.get(wishes.flow, wishes.flow) not in FLOWS:
        raise UsageError(
            f"no flow {wishes.flow[:40]!r}", hint=f"--flow {'|'.join(FLOWS)}", code="usage"
        )
    if wishes.dpop not in {"auto", "on", "off"}:
        raise UsageError(f"--dpop {wishes.dpop[:40]!r}", hint="--dpop auto|on|off")
    if wishes.client_key_alg != "ES256":
        raise UsageError(
            f"keys sign with ES256 here, not {wishes.client_key_alg[:20]!r}",
            hint="--client-key-alg ES256, with a key on P-256",
        )
    if wishes.client_key is not None and wishes.client_secret_file is not None:
        raise UsageError("a client has a key or a secret, not both", hint="--client-key FILE")
    if wishes.with_token and wishes.client_secret_file == STDIN:
        raise UsageError("stdin gives either the token or the client's secret")


def _check_scopes(provider: Provider, scopes: tuple[str, ...]) -> None:
    """Refuse what a provider with scopes of its own cannot mean."""
    known = provider.local_scopes
    if known and (strange := [scope for scope in scopes if scope not in known]):
        raise UsageError(
            f"{provider.title} gives nothing that {printable(strange[0], 60)!r} could stand for",
            hint=f"--scope {', '.join(known)}",
            code="unknown-scope",
        )


def _stdin_token() -> Secret:
    raw = sys.stdin.buffer.read(64 * 1024)
    if not raw.strip():
        raise DataError("--with-token found nothing on stdin", hint="… | sakina auth-flow …")
    return parse_token_text(raw)


def parse_token_text(raw: bytes) -> Secret:
    """Read a token: one line; JWTs are longer than other secrets may be.

    Raises:
        DataError: several lines, or what no token consists of.
    """
    text = raw.strip()
    if not text or not all(0x21 <= byte < 0x7F for byte in text):  # noqa: PLR2004 - ASCII
        raise DataError("stdin holds no token: one line of ASCII without spaces")
    return Secret(text.decode("ascii"))


def _secret_file(wishes: Wishes) -> Path | None:
    file = wishes.client_secret_file
    return None if file is None or file == "-" else Path(file)


def find_client(
    provider: Provider, wishes: Wishes, environ: Mapping[str, str], person: Person
) -> Client:
    """Find out who logs in: options, environment, systemd credential, preset, site.

    Raises:
        NoCredential: nobody said, and the flow needs it.
    """
    client_id = wishes.client_id or environ.get("DUNES_CLIENT_ID") or ""
    if wishes.client_key is not None:
        raw = keyio.read_private(wishes.client_key)
        key = SigningKey.read(raw, str(wishes.client_key))
        return Client(_need_id(client_id, provider), key=key)
    given = given_secret(
        "client-secret",
        value="-" if wishes.client_secret_file == STDIN else None,
        file=_secret_file(wishes),
        environ=environ,
    )
    if given is not None:
        if given.warning:
            person.warn(given.warning)
        return Client(_need_id(client_id, provider), given.secret)
    only_machines = provider.flows == ("client-credentials",)
    wants_secret = only_machines or wishes.flow == "client-credentials"
    if wants_secret and provider.service_account is not None and not client_id:
        return read_service_account(provider.service_account)
    if wants_secret and not wishes.with_token:
        raise NoCredential(
            f"no client id and secret for {provider.title}",
            hint="\n      ".join(provider.setup) or "--client-id ID --client-secret-file FILE",
        )
    return Client(_need_id(client_id, provider) if not wishes.with_token else client_id)


def _need_id(client_id: str, provider: Provider) -> str:
    found = client_id or provider.client_id
    if not found:
        raise NoCredential(
            f"{provider.title} knows this program by no client id",
            hint="register one at the issuer, then: --client-id ID, or DUNES_CLIENT_ID",
        )
    return found


def read_service_account(path: Path) -> Client:
    """Read a client's id and secret from a JSON file that is nobody else's.

    Raises:
        NotFound, KeyRefused: no such file, or others can read it.
        DataError: something else is in it.
    """
    try:
        body = json.loads(keyio.read_private(path))
        client_id, secret = body["client_id"], body["client_secret"]
    except NotFound:
        raise
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path} holds no client_id and client_secret") from None
    return Client(str(client_id), parse_secret(str(secret).encode(), str(path)))


def choose_flow(provider: Provider, client: Client, asked: str, environ: Mapping[str, str]) -> str:
    """Choose a flow: a client that can show who it is needs no person; a person a browser.

    Raises:
        UsageError: the provider is not used that way.
    """
    flow = ALIASES.get(asked, asked)
    if flow == "auto":
        if client.confidential or provider.flows == ("client-credentials",):
            flow = "client-credentials"
        else:
            flow = "browser" if _has_browser(environ) else "device"
    if flow not in provider.flows:
        raise UsageError(
            f"{provider.title} is not logged in at by {flow}",
            hint=f"--flow {'|'.join(provider.flows)}",
            code="no-flow",
        )
    return flow


def _has_browser(environ: Mapping[str, str]) -> bool:
    """Tell whether a browser on this machine is likely to be seen by a person."""
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    screen = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY") or sys.platform == "darwin"
    return bool(screen) and sys.stderr.isatty()


def _dpop(asked: str, client: Client, *, offered: bool) -> bool:
    """Bind tokens of public clients where it is offered; others on demand.

    A client with a secret can renew a stolen token's place at any time; a person's refresh
    token on a gateway cannot be missed that way (RFC 9700 4.14.2).
    """
    if asked == "on" and not offered:
        raise UsageError("the issuer does not offer DPoP with ES256", hint="--dpop auto")
    return asked == "on" or (asked == "auto" and offered and not client.confidential)


def _ready_store(
    paths: Paths, memory: Memory, wishes: Wishes, environ: Mapping[str, str], person: Person
) -> TokenStore:
    """Choose the store and try it, before anything is asked of a person or an issuer."""
    chosen = choose_store(
        paths, memory, wishes.token_store, environ=environ, in_clear=wishes.in_clear, trial=True
    )
    if wishes.in_clear:
        if chosen.store.name != "file":
            raise UsageError("--insecure-storage is for --token-store file")
        person.warn("the login will lie in clear in the keys directory (--insecure-storage)")
    if not wishes.with_token or chosen.store.name != "none":
        chosen.store.probe()
    else:
        raise UsageError("--with-token with --token-store none keeps nothing", hint="one of them")
    return chosen.store
