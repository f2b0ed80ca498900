"""The token endpoint: one request, one answer (RFC 6749 5, RFC 9449 5 and 8)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from dunes.errors import DunesError
from dunes.secrets import Secret
from dunes.text import printable
from sakina.oauth.clientauth import Client, authenticate
from sakina.oauth.discovery import Metadata
from sakina.oauth.dpop import Prover
from sakina.oauth.errors import ClockOff, IssuerRefused, IssuerSilent, NotAnIssuer
from sakina.oauth.http import Answer, Http

TEXT_MAX = 200
CLOCK_MAX_S = 60.0
"""A clock that is further off spoils assertions, proofs and id_tokens."""
LIFETIME_MAX_S = 366 * 86_400
SECRET_FIELDS = frozenset(
    {
        "client_secret",
        "client_assertion",
        "code",
        "code_verifier",
        "device_code",
        "refresh_token",
        "token",
    }
)
"""Of a form; a careless issuer repeats them in its error texts."""


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """What the token endpoint gave.

    Attributes:
        access_token: opaque to us.
        token_type: `Bearer` or `DPoP`.
        expires_in_s: how long it is good; None if the issuer does not say.
        refresh_token: for the next one; None if there is none.
        id_token: who logged in, unchecked; empty if none came.
        scope: what was granted; None if the issuer does not say.
    """

    access_token: Secret
    token_type: str
    expires_in_s: int | None
    refresh_token: Secret | None
    id_token: str
    scope: tuple[str, ...] | None

    def __repr__(self) -> str:
        """Hide the tokens."""
        return f"TokenAnswer({self.token_type}, scope={self.scope})"


def request_token(
    http: Http,
    metadata: Metadata,
    client: Client,
    form: Mapping[str, str],
    prover: Prover | None = None,
) -> TokenAnswer:
    """Ask for a token.

    Args:
        http: carries it.
        metadata: of the issuer.
        client: who asks.
        form: grant type and what belongs to it.
        prover: binds the token to its key.

    Raises:
        IssuerRefused: an OAuth error; `error` has its code.
        ClockOff: refused, and the clocks differ.
        IssuerSilent, IssuerBusy, NotAnIssuer, WrongCertificate: see `Http`.
    """
    answer = post_form(http, metadata, client, metadata.token_endpoint, form, prover)
    if not answer.ok:
        refuse(answer, form, client, "the issuer")
    return parse_token(answer.body, bound=prover is not None)


def post_form(
    http: Http,
    metadata: Metadata,
    client: Client,
    url: str,
    form: Mapping[str, str],
    prover: Prover | None = None,
) -> Answer:
    """Send an authenticated form; once more if the issuer demands a DPoP nonce.

    That second attempt is safe: the issuer has refused the first before it looked at the
    grant. It has a new assertion and a new proof.
    """
    for last in (False, True):
        now_s = http.wait.unix_s()
        full, headers = authenticate(client, metadata, form, now_s)
        if prover is not None:
            headers["dpop"] = prover.proof("POST", url, now_s)
        answer = http.post(url, full, headers)
        if prover is None:
            break
        new = prover.learn(url, answer.headers.get("dpop-nonce", "")[:TEXT_MAX])
        if last or not new or answer.body.get("error") != "use_dpop_nonce":
            break
    return answer


def refuse(answer: Answer, form: Mapping[str, str], client: Client, who: str) -> NoReturn:
    """Say what an answer that is no success means."""
    error = answer.body.get("error")
    if not isinstance(error, str) or not error:
        what = "no OAuth error" if answer.is_json else "no JSON"
        raise NotAnIssuer(f"{who} answered {answer.status} with {what}")
    hidden = [form[name] for name in SECRET_FIELDS if form.get(name)]
    if client.secret is not None:
        hidden.append(client.secret.reveal())
    said = answer.body.get("error_description")
    detail = f": {shown(said, hidden)}" if isinstance(said, str) and said else ""
    if error == "invalid_dpop_proof" or (error == "invalid_client" and client.key is not None):
        check_clock(answer.ahead_s)  # proofs and assertions carry our time
    raise IssuerRefused(
        f"{who} refuses ({shown(error, hidden)}){detail}",
        error=error,
        hint=HINTS.get(error),
    )


def may_have_arrived(error: DunesError) -> bool:
    """Tell whether a token may have been issued although a request failed."""
    return isinstance(error, IssuerSilent) and error.sent


HINTS = {
    "invalid_client": "are client id and secret (or key) those of this issuer?",
    "unauthorized_client": "the issuer does not allow this client that flow: --flow",
    "invalid_scope": "ask for scopes that the issuer knows: --scope",
    "invalid_target": "the issuer does not know that resource: --resource",
}


def shown(text: str, hidden: list[str]) -> str:
    """Bound and escape what an issuer says, and take our own secrets out of it."""
    for secret in hidden:
        text = text.replace(secret, "<secret>")
    return printable(text, TEXT_MAX)


def check_clock(ahead_s: float | None) -> None:
    """Compare this machine's clock with the issuer's.

    Raises:
        ClockOff: they are more than a minute apart.
    """
    if ahead_s is not None and abs(ahead_s) > CLOCK_MAX_S:
        from dunes.units import show_duration

        way = "ahead of" if ahead_s > 0 else "behind"
        raise ClockOff(
            f"this machine's clock is {show_duration(abs(ahead_s))} {way} the issuer's",
            hint="set the clock: timedatectl set-ntp true; then log in again",
        )


def parse_token(body: Mapping[str, Any], *, bound: bool) -> TokenAnswer:
    """Read a successful answer.

    Args:
        body: JSON.
        bound: we sent a DPoP proof.

    Raises:
        NotAnIssuer: something is missing or not what it has to be.
    """
    access, kind = body.get("access_token"), body.get("token_type")
    if not isinstance(access, str) or not access or not access.isascii():
        raise NotAnIssuer("the issuer's answer has no access_token")
    token_type = {"bearer": "Bearer", "dpop": "DPoP"}.get(str(kind).lower())
    if token_type is None or (token_type == "DPoP" and not bound):  # noqa: S105 - no password
        raise NotAnIssuer(f"the issuer gave a token of type {printable(str(kind), 40)!r}")
    refresh, id_token, scope = (body.get(n) for n in ("refresh_token", "id_token", "scope"))
    if refresh is not None and not isinstance(refresh, str):
        raise NotAnIssuer("the issuer's refresh_token is no text")
    if id_token is not None and not isinstance(id_token, str):
        raise NotAnIssuer("the issuer's id_token is no text")
    return TokenAnswer(
        access_token=Secret(access),
        token_type=token_type,
        expires_in_s=_lifetime_s(body.get("expires_in")),
        refresh_token=Secret(refresh) if refresh else None,
        id_token=id_token or "",
        scope=tuple(scope.split()) if isinstance(scope, str) else None,
    )


def _lifetime_s(value: object) -> int | None:
    """Read expires_in; some issuers write the number as text."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # judged by the next lines
    except (TypeError, ValueError) as e:
        raise NotAnIssuer("the issuer's expires_in is no number") from e
    if not math.isfinite(number) or number < 0:
        raise NotAnIssuer("the issuer's expires_in is no lifetime")
    return int(min(number, LIFETIME_MAX_S))
