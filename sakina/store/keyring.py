"""Logins in the desktop's keyring (extra `keyring`): Secret Service, KWallet, Keychain.

A keyring cannot be asked what it holds for us, so the names of the profiles, which are
no secret, are remembered beside the other choices of `sakina`.
"""

import base64
import secrets
from typing import Any

from dunes.errors import StorageError
from dunes.model import check_name
from sakina.grant import Grant, decode_grant, encode_grant
from sakina.memory import Memory
from sakina.oauth.errors import StoreUnusable

SERVICE = "dunes-sakina"
TRIAL = ".trial"


class KeyringStore:
    """Logins in a keyring.

    Args:
        memory: remembers the profiles' names.
        backend: instead of what `keyring` finds, for tests.

    Raises:
        StoreUnusable: the extra is not installed.
    """

    name = "keyring"

    def __init__(self, memory: Memory, backend: Any = None) -> None:
        self._memory = memory
        self._backend = backend if backend is not None else _find_backend()

    def probe(self) -> None:
        """Write, read and delete a trial entry."""
        trial = secrets.token_hex(8)
        try:
            self._backend.set_password(SERVICE, TRIAL, trial)
            found = self._backend.get_password(SERVICE, TRIAL)
            self._backend.delete_password(SERVICE, TRIAL)
        except Exception as e:  # backends raise whatever their system raises
            raise StoreUnusable(
                f"no keyring works here ({type(e).__name__})", hint="--token-store file"
            ) from e
        if found != trial:
            raise StoreUnusable(
                "the keyring gives back other text than it was given", hint="--token-store file"
            )

    def save(self, grant: Grant) -> None:
        """Keep a login."""
        text = base64.b64encode(encode_grant(grant)).decode("ascii")
        try:
            self._backend.set_password(SERVICE, check_name(grant.profile, "profile"), text)
        except Exception as e:
            raise StorageError(
                f"the keyring did not take the login ({type(e).__name__})",
                hint="--token-store file",
            ) from e
        self._memory.add_profile(grant.profile)

    def load(self, profile: str) -> Grant | None:
        """Ask the keyring for a login."""
        try:
            text = self._backend.get_password(SERVICE, check_name(profile, "profile"))
        except Exception as e:
            raise StorageError(
                f"the keyring does not answer ({type(e).__name__})", hint="is it unlocked?"
            ) from e
        if text is None:
            return None
        try:
            raw = base64.b64decode(text)
        except ValueError:
            raw = b""
        return decode_grant(raw, f"the keyring's entry {profile}")

    def delete(self, profile: str) -> bool:
        """Forget a login."""
        if self.load(profile) is None:
            return False
        try:
            self._backend.delete_password(SERVICE, profile)
        except Exception as e:
            raise StorageError(f"the keyring kept the login ({type(e).__name__})") from e
        self._memory.drop_profile(profile)
        return True

    def profiles(self) -> list[str]:
        """Name the profiles that were saved."""
        return sorted(self._memory.profiles)


def _find_backend() -> Any:
    try:
        import keyring
    except ImportError as e:
        raise StoreUnusable(
            "the keyring needs an extra: dunes-mcp[keyring]",
            hint="pip install 'dunes-mcp[keyring]', or --token-store file",
        ) from e
    return keyring.get_keyring()
