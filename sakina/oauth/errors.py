"""What can go wrong with a login, each with its own reason.

::

    DunesError
    ├── IssuerRefused         1   issuer-refused: an OAuth error that ends it
    ├── LoginDeclined         1   login-declined: a person said no
    ├── ScopeRefused          1   scope-refused: less was granted than asked for
    ├── NotFound
    │   └── NoLogin          66   no-login: nothing is stored for that profile
    ├── Unavailable
    │   ├── IssuerSilent     69   issuer-unreachable
    │   └── LoginTimedOut    69   login-timed-out: nobody approved in time
    ├── StorageError
    │   └── StoreUnusable    74   store-unusable: found out before the login
    ├── TryLater
    │   └── IssuerBusy       75   issuer-busy: 429 or 5xx
    ├── PeerError
    │   ├── NotAnIssuer      76   not-an-issuer: HTML, a redirect, nonsense
    │   ├── WrongIssuer      76   wrong-issuer: says it is somebody else
    │   ├── WrongCertificate 76   wrong-certificate: TLS
    │   ├── BadToken         76   bad-token: id_token or JWT that does not hold
    │   └── ForgedCallback   76   forged-callback: state or iss do not match
    ├── Denied
    │   └── LoginExpired     77   login-expired: log in anew
    └── ConfigError
        ├── NoCredential     78   no-credential: no client id, secret or key
        └── ClockOff         78   clock-off: this machine's clock is wrong
"""

from dunes.errors import (
    ConfigError,
    Denied,
    DunesError,
    NotFound,
    PeerError,
    StorageError,
    TryLater,
    Unavailable,
)


class IssuerRefused(DunesError):
    """The issuer answered with an OAuth error.

    Args:
        message: for people.
        error: the code of RFC 6749 5.2 or its extensions, e.g. `invalid_grant`.
        hint: what to do next.
    """

    code = "issuer-refused"

    def __init__(self, message: str, *, error: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.error = error


class LoginDeclined(DunesError):
    """A person refused the login."""

    code = "login-declined"


class ScopeRefused(DunesError):
    """Less was granted than asked for."""

    code = "scope-refused"


class NoLogin(NotFound):
    """Nothing is stored for that profile."""

    code = "no-login"


class IssuerSilent(Unavailable):
    """The issuer cannot be reached, or does not answer in time.

    Args:
        message: what happened.
        hint: what to do next.
        sent: the request may have arrived; its answer was lost.
    """

    code = "issuer-unreachable"

    def __init__(self, message: str, *, hint: str | None = None, sent: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class LoginTimedOut(Unavailable):
    """Nobody approved in time."""

    code = "login-timed-out"


class StoreUnusable(StorageError):
    """The token store does not keep what it is given."""

    code = "store-unusable"


class IssuerBusy(TryLater):
    """The issuer cannot answer now.

    Args:
        message: what it said.
        retry_after_s: when it may be asked again, if it said so.
    """

    code = "issuer-busy"

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint="try again later")
        self.retry_after_s = retry_after_s


class NotAnIssuer(PeerError):
    """Something answers, and not as an OAuth 2.0 server does."""

    code = "not-an-issuer"


class WrongIssuer(PeerError):
    """The server says that it is another issuer than the one that was asked for."""

    code = "wrong-issuer"


class WrongCertificate(PeerError):
    """The server's TLS certificate is not good for it."""

    code = "wrong-certificate"


class BadToken(PeerError):
    """A signed token does not hold.

    Args:
        message: which check failed.
        timely: false if the reason is the time: a wrong clock looks like this.
    """

    code = "bad-token"

    def __init__(self, message: str, *, hint: str | None = None, timely: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.timely = timely


class ForgedCallback(PeerError):
    """What came back through the browser belongs to no login of ours."""

    code = "forged-callback"


class LoginExpired(Denied):
    """The stored login is not accepted any more."""

    code = "login-expired"


class NoCredential(ConfigError):
    """There is no client id, secret or key to log in with."""

    code = "no-credential"


class ClockOff(ConfigError):
    """This machine's clock and the issuer's are too far apart."""

    code = "clock-off"
