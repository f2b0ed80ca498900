"""The second crypto engine: is liboqs here, and do both engines agree?"""

import os

from dunes.doctor.check import Given, Result


def liboqs(given: Given) -> Result:
    """Compare liboqs with our engine where it is; the house works without it."""
    from dunes.crypto.engine import Liboqs, find_liboqs
    from dunes.crypto.errors import EngineMissing

    if find_liboqs(given.environ) is None:
        return Result("ok", "not here, and not needed: cryptography does the work")
    from dunes.crypto.signing import SigningKey
    from dunes.crypto.xwing import MLKEM_SEED_BYTES, X25519_BYTES, RecipientKey

    try:
        engine = Liboqs()
    except EngineMissing as e:
        return Result("warn", e.message, e.hint or "")
    signing = SigningKey.generate()
    seeds = os.urandom(MLKEM_SEED_BYTES), os.urandom(X25519_BYTES)
    checks = engine.cross_check(signing, RecipientKey.from_seeds(signing.kid, *seeds))
    where = f"liboqs {engine.library.version} ({engine.library.path})"
    if wrong := [check.name for check in checks if not check.ok]:
        return Result("fail", f"{where} disagrees with cryptography: {'; '.join(wrong)}")
    return Result("ok", f"{where} agrees in {len(checks)} comparisons")
