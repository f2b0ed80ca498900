"""What a decision, a token and a look into a large trust store cost.

    python benchmarks/bench_authority.py [--devices 10000] [--rounds 7]

Decisions: the core alone, warm, with few and with 10,000 rules; through the gate, with the
record. Tokens: ML-DSA-65 as we verify them, against Ed25519 (the same JWT by `joserfc`).
Trust store: a device by its name among 10 and among `--devices`, all of one shape.

Each figure is the median of the rounds; the rounds take turns. Targets: a decision below
50 µs warm; the look-up among 10,000 at most twice that among 10.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import OKPKey

from dunes.authority.decide import decide
from dunes.authority.gate import Gate
from dunes.authority.model import Request, Resource, Subject
from dunes.authority.policy import Document, Policies, Rule
from dunes.authority.store import defaults
from dunes.authority.token import Authorities, Claims, check_token, make_token, read_token
from dunes.crypto import entropy
from dunes.crypto.identity import make_keys
from dunes.crypto.keywriter import RANDOM_BYTES, Description, write_key_document
from dunes.crypto.signing import SigningKey
from dunes.crypto.truststore import NAMES, Role, TrustStore
from dunes.paths import find_paths

NOW_S = 1_800_000_000
NOW_US = NOW_S * 1_000_000
TARGET_US, FLAT = 50.0, 2.0


def per_call_us(call, times):
    begin_ns = time.perf_counter_ns()
    for _ in range(times):
        call()
    return (time.perf_counter_ns() - begin_ns) / times / 1000


def decisions(folder):
    plain = Policies.join(defaults())
    rules = tuple(Rule(f"r{n}", "deny", devices=(f"rover-{n}",)) for n in range(10_000))
    many = Policies.join(defaults(), Document(1, rules=rules))
    token = Subject("token", "medic", frozenset({"health-data"}))
    yes = Request(token, "table.read", Resource("vitals_data", "crew-001"))
    no = Request(Subject("token", "x"), "actuator.command", Resource(device="valve-1"))
    gate = Gate(find_paths({"DUNES_HOME": str(folder)}))
    return {
        "decision, yes by a scope": (lambda: decide(yes, plain, {}, NOW_US), 2000),
        "decision, no": (lambda: decide(no, plain, {}, NOW_US), 2000),
        "decision, 10,000 rules": (lambda: decide(yes, many, {}, NOW_US), 2000),
        "decision, written down": (lambda: gate.decide(yes), 2000),
    }


def tokens():
    key = SigningKey.from_seed(b"k" * 32)
    claims = Claims(key.kid, "a", "", ("telemetry",), NOW_S, NOW_S, NOW_S + 900, "1")
    text = make_token(claims, key)
    known = Authorities({key.kid: key.public}.get, {key.kid})
    other = OKPKey.generate_key("Ed25519")
    body = json.loads(claims.encode())
    signed = jwt.encode({"alg": "Ed25519"}, body, other, algorithms=["Ed25519"])
    assert check_token(read_token(text), known, NOW_S).ok
    return {
        "token, ML-DSA-65": (lambda: check_token(read_token(text), known, NOW_S), 200),
        "token, Ed25519 (joserfc)": (
            lambda: jwt.decode(signed, other, algorithms=["Ed25519"]),
            200,
        ),
    }


def fill(folder, count):
    """Make a trust store of many devices: one real document, and its like under other names."""
    store = TrustStore(folder)
    pair = make_keys("rover-000000", entropy.mix(None, b"d" * entropy.OS_BYTES))
    about = Description("device", "a benchmark", NOW_US)
    store.add(write_key_document(pair, about, b"r" * RANDOM_BYTES), [Role.DEVICE], NOW_US)
    entry = (folder / f"{pair.kid}.json").read_bytes()
    for n in range(1, count):
        kid = f"{n:032x}"
        (folder / f"{kid}.json").write_bytes(entry)
        (folder / NAMES / f"rover-{n:06}").write_text(kid)
    return store


def stations(store):
    """What every ingest and sync asks: whom to seal to."""
    return store.recipients(NOW_US, Role.GROUND_STATION)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        base = Path(home)
        few, many = fill(base / "few", 10), fill(base / "many", given.devices)
        cases = decisions(base / "place") | tokens()
        cases |= {
            "device by name, among 10": (lambda: few.device("rover-000000"), 50),
            f"device by name, among {given.devices}": (lambda: many.device("rover-000000"), 50),
            "ground stations, among 10": (lambda: stations(few), 50),
            f"ground stations, among {given.devices}": (lambda: stations(many), 50),
        }
        taken = {name: [] for name in cases}
        for _ in range(given.rounds + 1):
            for name, (call, times) in cases.items():
                taken[name].append(per_call_us(call, times))
    medians = {name: statistics.median(values[1:]) for name, values in taken.items()}
    for name, us in medians.items():
        print(f"{name:34} {us:9.2f} us  {1e6 / us:9.0f}/s")
    small, large, few_s, many_s = list(medians.values())[-4:]
    met = {
        "decision below 50 us": max(medians[n] for n in list(medians)[:3]) < TARGET_US,
        "look-up is flat": large <= FLAT * small and many_s <= FLAT * few_s,
    }
    for what, good in met.items():
        print(f"{what}: {'met' if good else 'MISSED'}")
    print(json.dumps({name: round(us, 2) for name, us in medians.items()} | met))


if __name__ == "__main__":
    main()
