"""No store: a login is tried, and forgotten with the process."""

from sakina.grant import Grant


class NoStore:
    """Keeps nothing."""

    name = "none"

    def probe(self) -> None:
        """Do nothing: there is nothing that could fail."""

    def save(self, grant: Grant) -> None:
        """Keep nothing."""

    def load(self, profile: str) -> Grant | None:
        """Give nothing."""
        del profile
        return None

    def delete(self, profile: str) -> bool:
        """Find nothing."""
        del profile
        return False

    def profiles(self) -> list[str]:
        """Name nobody."""
        return []
