"""Throw-away parties for the tests of the crypto room."""

from dataclasses import dataclass

import pytest

from dunes.crypto.signing import SigningKey
from dunes.crypto.xwing import RecipientKey


@dataclass(frozen=True)
class Party:
    """Somebody with a signing key and a key to open with."""

    signing: SigningKey
    recipient: RecipientKey

    @property
    def kid(self):
        return self.signing.kid


def make_party(letter: str) -> Party:
    signing = SigningKey.from_seed(letter.encode() * 32)
    return Party(signing, RecipientKey.from_xwing_seed(signing.kid, letter.encode() * 32))


@pytest.fixture(scope="session")
def gateway():
    return make_party("g")


@pytest.fixture(scope="session")
def station():
    return make_party("s")


@pytest.fixture(scope="session")
def stranger():
    return make_party("x")
