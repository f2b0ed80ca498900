"""What `sakina` remembers between runs, none of it secret: `<config>/sakina.json`."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dunes.errors import ConfigError, StorageError
from dunes.paths import Paths, write_atomic


@dataclass(slots=True)
class Memory:
    """Choices of earlier runs.

    Attributes:
        path: the file.
        token_store: `file`, `keyring` or `none`; empty: nobody chose yet.
        provider: used where none is named; empty: nobody chose yet.
        profiles: names of profiles that lie in a keyring.
    """

    path: Path
    token_store: str = ""
    provider: str = ""
    profiles: list[str] = field(default_factory=list)

    def add_profile(self, profile: str) -> None:
        """Remember that a profile lies in the keyring."""
        if profile not in self.profiles:
            self.profiles.append(profile)
            self.save()

    def drop_profile(self, profile: str) -> None:
        """Forget a profile."""
        if profile in self.profiles:
            self.profiles.remove(profile)
            self.save()

    def save(self) -> None:
        """Write all of it down.

        Raises:
            StorageError: the disk said no.
        """
        body = asdict(self)
        body.pop("path")
        try:
            write_atomic(self.path, (json.dumps(body, indent=2) + "\n").encode(), mode=0o644)
        except OSError as e:
            raise StorageError(f"cannot write {self.path}: {e.strerror}") from e


def load_memory(paths: Paths) -> Memory:
    """Read what was remembered; nothing, if there is nothing.

    Raises:
        ConfigError: the file is damaged.
    """
    path = paths.config / "sakina.json"
    try:
        body = json.loads(path.read_bytes())
        memory = Memory(
            path,
            token_store=str(body.get("token_store", "")),
            provider=str(body.get("provider", "")),
            profiles=[str(name) for name in body.get("profiles", [])],
        )
    except (FileNotFoundError, NotADirectoryError):
        return Memory(path)
    except (ValueError, AttributeError, TypeError) as e:
        raise ConfigError(f"{path} is damaged", hint=f"remove {path}; sakina init") from e
    except OSError as e:
        raise ConfigError(f"{path} cannot be read: {e.strerror}") from e
    return memory
