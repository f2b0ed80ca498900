"""Challenges that travel as files: remembered until they are answered once."""

import os
from pathlib import Path

from dunes.authority.challenge import (
    NONCE_BYTES,
    BadAnswer,
    Challenge,
    nonce_of,
    read_challenge,
)
from dunes.clock import US_PER_S, Clock
from dunes.errors import NotFound
from dunes.model import check_name
from dunes.paths import Paths, write_atomic

FOLDER = "challenges"
KEPT_MAX = 1000


def new_challenge(
    paths: Paths, device: str, verifier: str, clock: Clock, lifetime_s: int
) -> Challenge:
    """Make a challenge and remember it; those that have ended are forgotten."""
    now_s = clock.unix_us() // US_PER_S
    folder = paths.state / FOLDER
    for path in _kept(folder):
        if _ended(path, now_s):
            path.unlink(missing_ok=True)
    if len(_kept(folder)) >= KEPT_MAX:
        raise BadAnswer(
            f"{KEPT_MAX} challenges wait for their answers", hint=f"remove old ones in {folder}"
        )
    made = Challenge(
        check_name(device, "device"), verifier, os.urandom(NONCE_BYTES), now_s, now_s + lifetime_s
    )
    write_atomic(folder / f"{made.nonce.hex()}.json", made.encode())
    return made


def spend_challenge(paths: Paths, answer: bytes) -> Challenge:
    """Give the challenge that an answer is to, and forget it: it is good once.

    Raises:
        NotFound: no such challenge waits, or it was answered before.
        BadAnswer: not an answer.
    """
    path = paths.state / FOLDER / f"{nonce_of(answer).hex()}.json"
    try:
        data = path.read_bytes()
        path.unlink()  # of two processes one gets it
    except FileNotFoundError as e:
        raise NotFound(
            "this answers no challenge that waits here: it was used before, or made elsewhere",
            hint="sakina verify --device NAME --scope SCOPE --challenge FILE",
            code="no-challenge",
        ) from e
    return read_challenge(data)


def _kept(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _ended(path: Path, now_s: int) -> bool:
    try:
        return read_challenge(path.read_bytes()).expires_s <= now_s
    except (OSError, BadAnswer):
        return True
