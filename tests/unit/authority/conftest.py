"""Keys, a place and policies for the tests of authority."""

import pytest

from dunes.authority.policy import Policies
from dunes.authority.store import defaults
from dunes.crypto.signing import SigningKey
from dunes.paths import find_paths


@pytest.fixture(scope="session")
def keys():
    """Six keys, always the same."""
    return [SigningKey.from_seed(bytes([n]) * 32) for n in range(1, 7)]


@pytest.fixture
def paths(tmp_path):
    return find_paths({"DUNES_HOME": str(tmp_path / "dunes")})


@pytest.fixture(scope="session")
def policies():
    return Policies.join(defaults())
