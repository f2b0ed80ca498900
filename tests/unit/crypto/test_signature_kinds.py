"""A signature of one kind is refused as every other kind."""

from itertools import permutations

import pytest

from dunes.crypto import names
from dunes.crypto.errors import BadSignature
from dunes.crypto.signing import SigningKey

KINDS = {name: value for name, value in vars(names).items() if name.startswith("SIGN_")}
KEY = SigningKey.from_seed(b"k" * 32)
SIGNED = {name: KEY.sign(b"the same bytes", context) for name, context in KINDS.items()}


def test_every_kind_has_its_own_context():
    assert len(KINDS) == len(set(KINDS.values())) >= 7
    assert all(context.startswith(b"dunes/2048-aes/v1/") for context in KINDS.values())


@pytest.mark.parametrize(("one", "other"), list(permutations(KINDS, 2)))
def test_one_kind_is_refused_as_another(one, other):
    KEY.public.verify(SIGNED[one], b"the same bytes", KINDS[one])
    with pytest.raises(BadSignature):
        KEY.public.verify(SIGNED[one], b"the same bytes", KINDS[other])


def test_labels_of_keys_are_no_contexts_of_signatures():
    labels = {value for name, value in vars(names).items() if name.startswith("LABEL_")}
    assert labels.isdisjoint(KINDS.values())
