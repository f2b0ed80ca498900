"""`sakina auth`: the stored logins."""

from dunes.console import Entry, lazy_app

ABOUT = "Look at stored logins, use, renew and end them."

COMMANDS: dict[str, Entry] = {
    "status": Entry(
        "sakina.commands.auth_status:status",
        "Say which logins are kept, for what, and until when.",
    ),
    "token": Entry(
        "sakina.commands.auth_token:token",
        "Print a login's access token, renewed if need be.",
    ),
    "refresh": Entry(
        "sakina.commands.auth_refresh:refresh",
        "Renew a login's token now.",
    ),
    "logout": Entry(
        "sakina.commands.auth_logout:logout",
        "End a login: revoke it at the issuer, and forget it here.",
    ),
}

app = lazy_app("auth", ABOUT, COMMANDS, top=False)
