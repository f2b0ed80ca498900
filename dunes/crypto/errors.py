"""What the crypto room refuses, each with its own reason.

::

    DunesError
    ├── BadSignature          1   bad-signature: not signed by that key
    ├── Untrusted             1   untrusted-key: a good signature by a stranger
    ├── Tampered              1   tampered: sealed bytes were changed, cut or moved
    ├── Replayed              1   replayed: this blob, or an older one, was seen before
    ├── ChainBroken           1   chain-broken: something between is missing or foreign
    ├── DataError
    │   ├── BadContainer     65   bad-container: not one of ours, or cut
    │   ├── BadRecord        65   bad-key-record
    │   └── BadKeyFile       65   bad-key-file: unreadable key document
    ├── ConfigError
    │   └── SuiteRefused     78   suite-refused: not on the allow-list
    ├── NotFound
    │   ├── UnknownKey       66   unknown-key: no key record, no such kid
    │   └── NoIdentity       66   no-identity: no key was made here yet
    ├── Denied
    │   ├── NotARecipient    77   not-a-recipient: sealed for others
    │   ├── KeyRefused       77   key-refused: mode, owner, link, cost, clear text
    │   ├── WrongPassphrase  77   wrong-passphrase
    │   └── KeyExists        77   key-exists: a key is never overwritten
    └── Unavailable
        ├── EngineMissing    69   engine-missing
        └── EntropyFailed    69   entropy-failed
"""

from dunes.errors import ConfigError, DataError, Denied, DunesError, NotFound, Unavailable


class BadSignature(DunesError):
    """The bytes were not signed by that key, or changed since."""

    code = "bad-signature"


class Untrusted(DunesError):
    """A signer nobody here believes."""

    code = "untrusted-key"


class Tampered(DunesError):
    """Sealed bytes were changed, cut, reordered or moved to another place."""

    code = "tampered"


class Replayed(DunesError):
    """A blob that was accepted before, or one older than what was accepted."""

    code = "replayed"


class ChainBroken(DunesError):
    """A blob that does not follow what was accepted last."""

    code = "chain-broken"


class BadContainer(DataError):
    """Not a 2048-AES/1 container, or a damaged one."""

    code = "bad-container"


class BadRecord(DataError):
    """Not a key record of a seal epoch, or a damaged one."""

    code = "bad-key-record"


class BadKeyFile(DataError):
    """A key document that cannot be read or contradicts itself."""

    code = "bad-key-file"


class SuiteRefused(ConfigError):
    """A version or suite that is not on the allow-list."""

    code = "suite-refused"


class UnknownKey(NotFound):
    """No key record and no key of that id is known here."""

    code = "unknown-key"


class NoIdentity(NotFound):
    """This place has no identity key yet."""

    code = "no-identity"


class NotARecipient(Denied):
    """Sealed for others than the keys at hand."""

    code = "not-a-recipient"


class KeyRefused(Denied):
    """A key file that must not be used: its mode, owner, kind, cost or clear text."""

    code = "key-refused"


class WrongPassphrase(Denied):
    """The passphrase (or machine) does not open the key."""

    code = "wrong-passphrase"


class KeyExists(Denied):
    """A key lies there already; keys are never overwritten by accident."""

    code = "key-exists"


class EngineMissing(Unavailable):
    """A cryptographic engine that was asked for, or is needed, is not there."""

    code = "engine-missing"


class EntropyFailed(Unavailable):
    """An entropy source was silent or failed its health tests."""

    code = "entropy-failed"


def no_post_quantum() -> EngineMissing:
    """Say that the installed `cryptography` was built without the algorithms of the suite."""
    return EngineMissing(
        "this build of `cryptography` has no ML-DSA and ML-KEM (its OpenSSL is older than 3.5)",
        hint="pip install --force-reinstall --only-binary :all: 'cryptography>=50.0.2'",
    )
