"""Where logins are kept: an encrypted file, the desktop's keyring, or nowhere."""

from typing import Protocol

from sakina.grant import Grant


class TokenStore(Protocol):
    """Keeps one login for each profile."""

    name: str
    """`file`, `keyring` or `none`."""

    def probe(self) -> None:
        """Write, read and delete a trial entry: what fails here must fail before a login.

        Raises:
            StoreUnusable: it does not keep what it is given.
        """
        ...

    def save(self, grant: Grant) -> None:
        """Keep a login in place of the profile's former one, as a whole or not at all."""
        ...

    def load(self, profile: str) -> Grant | None:
        """Give a profile's login; None if there is none."""
        ...

    def delete(self, profile: str) -> bool:
        """Forget a profile's login; tell whether there was one."""
        ...

    def profiles(self) -> list[str]:
        """Name the profiles that have a login, in order."""
        ...
