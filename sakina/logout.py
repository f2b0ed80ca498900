"""End a login: at the issuer first, then here in any case."""

from typing import Any

from dunes.errors import DunesError
from dunes.paths import Paths
from sakina.grant import Grant
from sakina.journal import Journal
from sakina.memory import load_memory
from sakina.oauth.http import Http
from sakina.oauth.refresh import LOCK_S
from sakina.oauth.revoke import Revoked, revoke
from sakina.oauth.wait import SYSTEM_WAIT, Wait
from sakina.session import client_of
from sakina.store.choose import choose_store


def log_out(
    paths: Paths,
    profile: str,
    *,
    asked_store: str | None = None,
    timeout_s: float,
    local: bool = False,
    dry_run: bool = False,
    wait: Wait = SYSTEM_WAIT,
) -> dict[str, Any]:
    """Revoke a profile's tokens and forget its login, also when the issuer is out of reach.

    A login that cannot be read any more is forgotten too.

    Returns:
        What was done, as the fields of the report.
    """
    store = choose_store(paths, load_memory(paths), asked_store).store
    journal = Journal(paths, wait)
    with journal.hold(profile, "refresh", LOCK_S):
        was_kept = profile in store.profiles()
        grant, why_not = None, ""
        try:
            grant = store.load(profile)
        except DunesError as e:
            why_not = e.message
        done = {
            "profile": profile,
            "was_kept": was_kept or grant is not None,
            "simulated": grant is not None and grant.simulated,
        }
        if dry_run or not done["was_kept"]:
            return done | {"forgotten": False, "revoked": False, "dry_run": dry_run}
        if grant is None or local:
            revoked = Revoked(done=False, why_not=why_not or "--local")
        else:
            revoked = _revoke(grant, timeout_s, wait)
        store.delete(profile)
    journal.forget(profile)
    return done | {
        "forgotten": True,
        "revoked": revoked.done,
        "why_not_revoked": revoked.why_not,
    }


def _revoke(grant: Grant, timeout_s: float, wait: Wait) -> Revoked:
    http = Http(timeout_s=timeout_s, ca_file=grant.ca_file, wait=wait)
    try:
        return revoke(http, client_of(grant), grant)
    except DunesError as e:  # its key is gone, or the like
        return Revoked(done=False, why_not=e.message)
    finally:
        http.close()
