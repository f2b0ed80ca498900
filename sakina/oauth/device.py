"""Device authorization (RFC 8628): a code to type elsewhere, and patience. No IO.

States: waiting, then exactly one of approved, declined, expired. A device code is worth
one token: after an answer that was a token nobody polls again, as a second redemption
revokes the grant. After an answer that was lost on the way polling goes on. Was it the
token, then the next poll ends the login and has the issuer revoke what nobody holds.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dunes.errors import UsageError
from dunes.secrets import Secret
from dunes.text import printable
from sakina.oauth.errors import (
    IssuerBusy,
    IssuerRefused,
    IssuerSilent,
    LoginDeclined,
    LoginTimedOut,
    NotAnIssuer,
)
from sakina.oauth.http import check_url

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"
INTERVAL_S = 5.0
"""Where the issuer names none (3.2)."""
SLOWER_S = 5.0
"""What slow_down adds, for good (3.5)."""
INTERVAL_MAX_S = 120.0
EXPIRES_MAX_S = 86_400.0
CODE_MAX = 64


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What the issuer gave for a login on another screen.

    Attributes:
        device_code: a secret; redeemed once.
        user_code: what a person types.
        verification_uri: where.
        verification_uri_complete: the same with the code filled in; empty if none.
        expires_in_s: how long the code is good.
        interval_s: between two polls, at least.
    """

    device_code: Secret
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in_s: float
    interval_s: float


def parse_device_code(body: Mapping[str, Any]) -> DeviceCode:
    """Read the answer of the device authorization endpoint.

    Raises:
        NotAnIssuer: something is missing or not what it has to be.
    """
    code, user = body.get("device_code"), body.get("user_code")
    # some issuers still write the draft's `verification_url`
    uri = body.get("verification_uri", body.get("verification_url"))
    complete = body.get("verification_uri_complete", "")
    if not all(isinstance(text, str) and text for text in (code, user, uri)):
        raise NotAnIssuer("the issuer's answer lacks device_code, user_code or verification_uri")
    for url in (uri, complete):
        if not isinstance(url, str):
            raise NotAnIssuer("the issuer's verification_uri is no text")
        try:
            if url:
                check_url(url, "verification_uri")
        except UsageError as e:
            raise NotAnIssuer(f"the issuer's {e.message}") from e
    return DeviceCode(
        Secret(str(code)),
        printable(str(user), CODE_MAX),
        str(uri),
        str(complete),
        _seconds(body, "expires_in", None, EXPIRES_MAX_S),
        _seconds(body, "interval", INTERVAL_S, INTERVAL_MAX_S),
    )


def _seconds(body: Mapping[str, Any], name: str, default: float | None, most: float) -> float:
    value = body.get(name, default)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NotAnIssuer(f"the issuer's {name} is no number of seconds")
    if value < 0:
        raise NotAnIssuer(f"the issuer's {name} is negative")
    return min(float(value), most)


class DeviceFlow:
    """When to ask again, and when to give up.

    Args:
        code: from the issuer.
        now_s: monotonic.
        timeout_s: give up earlier than the code; None: when the code expires.
    """

    def __init__(self, code: DeviceCode, now_s: float, timeout_s: float | None = None) -> None:
        self.code = code
        self._interval_s = code.interval_s
        lives_s = code.expires_in_s if timeout_s is None else min(code.expires_in_s, timeout_s)
        self._own_limit = timeout_s is not None and timeout_s < code.expires_in_s
        self.deadline_s = now_s + lives_s
        self.next_poll_s = now_s + code.interval_s
        self._lost = 0

    def form(self) -> dict[str, str]:
        """Give the form of a poll."""
        return {"grant_type": GRANT_TYPE, "device_code": self.code.device_code.reveal()}

    def check_time(self, now_s: float) -> None:
        """Say whether it is too late.

        Raises:
            LoginTimedOut: nobody approved in time.
        """
        if now_s >= self.deadline_s:
            if self._own_limit:
                raise LoginTimedOut(
                    "nobody approved the login within --timeout", hint="sakina auth-flow again"
                )
            raise _late()

    def pending(self, error: Exception, now_s: float) -> None:
        """Take what a poll gave instead of a token; plan the next one.

        Args:
            error: what `request_token` raised.
            now_s: monotonic.

        Raises:
            LoginDeclined: the person said no.
            LoginTimedOut: the code expired.
            Exception: `error` itself, if it ends the login.
        """
        match error:
            case IssuerRefused(error="authorization_pending"):
                self._lost = 0
            case IssuerRefused(error="slow_down"):
                self._interval_s = min(self._interval_s + SLOWER_S, INTERVAL_MAX_S)
            case IssuerRefused(error="access_denied"):
                raise LoginDeclined("the login was declined") from error
            case IssuerRefused(error="expired_token"):
                raise _late() from error
            case IssuerRefused(error="invalid_grant"):
                if self._lost:
                    # the answer that was lost may have been the token
                    raise LoginTimedOut(
                        "the code was good once, and the answer to it was lost on the way",
                        hint="sakina auth-flow again",
                    ) from error
                raise error
            case IssuerBusy(retry_after_s=after_s):
                self._lost += 1
                self._back_off(now_s, after_s or 0.0)
                return
            case IssuerSilent():
                self._lost += 1
                self._back_off(now_s, 0.0)
                return
            case _:
                raise error
        self.next_poll_s = now_s + self._interval_s

    def _back_off(self, now_s: float, at_least_s: float) -> None:
        """Wait longer after each failure: the link may be down (3.5)."""
        wait_s = min(self._interval_s * 2**self._lost, INTERVAL_MAX_S)
        # the last attempt is before the end, however long the wait has grown
        last_s = max(now_s + self._interval_s, self.deadline_s - self._interval_s)
        self.next_poll_s = min(now_s + max(wait_s, at_least_s), max(last_s, now_s + at_least_s))


def _late() -> LoginTimedOut:
    return LoginTimedOut(
        "the code expired before anybody approved the login", hint="sakina auth-flow again"
    )
