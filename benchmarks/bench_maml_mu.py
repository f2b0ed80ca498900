"""How fast documents are read and checked, receipts verified, and the log written and read.

    python benchmarks/bench_maml_mu.py [--quick] [--json]

CPU time of one thread. Baselines run in turns with what they are compared with:

- documents: PyYAML over the front matter alone, with libyaml and without; no places, no
  sections, no rules. What bounds us is shown as shares of the time.
- receipts: the bare ML-DSA-65 verification of the same signed bytes.
- log: SHA-256 over the same bytes (verification), a plain append and fsync (writing).

Promise: at least 1,000 documents a second, parsed and validated. Exit 1 if it is missed.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import yaml

from dunes.crypto.signing import SigningKey
from dunes.maml import parse, validate
from dunes.maml.yaml_tree import read_yaml
from dunes.mu import Level, draft, judge
from dunes.mu.dsse import signed_bytes
from dunes.mu.issue import issue
from dunes.mu.log import TransparencyLog
from dunes.mu.logcheck import verify_all
from dunes.mu.note import name_of
from dunes.mu.receipt import take_apart

ROOT = Path(__file__).resolve().parent.parent
PROMISED_PER_S = 1000
AT = datetime(2026, 1, 5, tzinfo=UTC)


def documents():
    """Give the documents that are valid MAML with front matter: fixtures and examples."""
    paths = [*(ROOT / "tests/vectors/maml").iterdir(), *(ROOT / "examples").iterdir()]
    named = [p for p in sorted(paths) if ".maml" in p.name]
    return [p.read_bytes() for p in named if p.read_bytes().startswith(b"---\n")]


def front_text(data):
    return data.decode().split("\n---\n")[0].removeprefix("---\n")


def cpu_s(work):
    begun = time.process_time()
    work()
    return time.process_time() - begun


def in_turns(cases, rounds):
    """Give the median CPU seconds of each case; the cases take turns."""
    taken = {name: [] for name in cases}
    for _ in range(rounds):
        for name, work in cases.items():
            taken[name].append(cpu_s(work))
    return {name: statistics.median(times) for name, times in taken.items()}


def bench_documents(rounds):
    whole = documents()
    fronts = [f for f in map(front_text, whole) if "[*]" not in f]
    parsed = [parse(d) for d in whole]

    def safe(loader):
        for text in fronts:
            try:
                yaml.load(text, Loader=loader)
            except yaml.YAMLError:
                continue

    cases = {
        "parse and validate": lambda: [validate(parse(d)) for d in whole],
        "of it: YAML with places": lambda: [read_yaml(f) for f in fronts],
        "of it: rules": lambda: [validate(d) for d in parsed],
        "baseline: PyYAML, libyaml, front matter": lambda: safe(yaml.CSafeLoader),
        "baseline: PyYAML, pure Python": lambda: safe(yaml.SafeLoader),
    }
    found = in_turns(cases, rounds)
    size = sum(map(len, whole)) / len(whole)
    return {
        "documents": len(whole),
        "mean_bytes": round(size),
        "us_each": {name: 1e6 * s / len(whole) for name, s in found.items()},
        "per_s": len(whole) / found["parse and validate"],
        "ratio_libyaml": found["parse and validate"]
        / found["baseline: PyYAML, libyaml, front matter"],
        "ratio_pure": found["parse and validate"] / found["baseline: PyYAML, pure Python"],
    }


def bench_receipts(count):
    key = SigningKey.from_seed(bytes(range(32)))
    find = {key.kid: key.public}.get
    source = (ROOT / "examples/lunar-config.maml").read_bytes()
    made = [
        draft(source + b"\n%d\n" % n, name="a.maml", at=AT, uuid=UUID(int=n), tool="bench/1")
        for n in range(count)
    ]
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "log"
        with TransparencyLog.open(directory, origin=name_of(key.kid)) as log:
            files = [issue(d, key).data for d in made]
            envelopes = [take_apart(f).envelope for f in files]
            begun = time.perf_counter()
            for envelope in envelopes[:200]:
                log.append([lambda _, e=envelope: e.raw])
            single_s = (time.perf_counter() - begun) / 200
            plain_s = plain_append(Path(folder) / "plain", [e.raw for e in envelopes[:200]])
            log.append([lambda _, e=e: e.raw for e in envelopes[200:]])
            log.sign(key, key.public.raw)
        cases = {
            "judge": lambda: check(files, find),
            "bare": lambda: bare(envelopes, key.public),
        }
        found = in_turns(cases, 3)
        walked_s = cpu_s(lambda: intact(directory, find))
        data = (directory / "entries").read_bytes()
        hashed_s = cpu_s(lambda: hashlib.sha256(data).digest())
        opened_s = cpu_s(lambda: TransparencyLog(directory).close())
    return {
        "receipts": count,
        "file_bytes": len(files[0]),
        "judge_us": 1e6 * found["judge"] / count,
        "bare_mldsa65_verify_us": 1e6 * found["bare"] / count,
        "ratio": found["judge"] / found["bare"],
        "log_append_ms": 1e3 * single_s,
        "plain_append_fsync_ms": 1e3 * plain_s,
        "log_verify_s": walked_s,
        "sha256_of_log_s": hashed_s,
        "log_open_ms": 1e3 * opened_s,
    }


def plain_append(path, rows):
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun = time.perf_counter()
    for row in rows:
        os.write(file, row)
        os.fsync(file)
    took = time.perf_counter() - begun
    os.close(file)
    return took / len(rows)


def check(files, find):
    for data in files:
        if judge(data, find=find).level is not Level.SIGNED:
            raise SystemExit("a receipt was not verified")


def bare(envelopes, key):
    for e in envelopes:
        key.verify(e.signatures[0].sig, signed_bytes(e.payload_type, e.payload), b"")


def intact(directory, find):
    if not verify_all(directory, find).intact:
        raise SystemExit("the log is not intact")


def tell(docs, receipts):
    print(f"documents: {docs['documents']} of {docs['mean_bytes']} bytes on average")
    for name, us in docs["us_each"].items():
        print(f"  {name:<42}{us:9.1f} us each")
    print(
        f"  {docs['per_s']:,.0f} documents/s; {docs['ratio_libyaml']:.2f} x the time of PyYAML "
        f"with libyaml, {docs['ratio_pure']:.2f} x that without"
    )
    verdict = "PASS" if docs["per_s"] >= PROMISED_PER_S else "FAIL"
    print(f"  {verdict}: at least {PROMISED_PER_S:,} a second")
    print(f"receipts: {receipts['receipts']:,} of {receipts['file_bytes']} bytes")
    print(
        f"  judge {receipts['judge_us']:.0f} us each, bare ML-DSA-65 verification "
        f"{receipts['bare_mldsa65_verify_us']:.0f} us: {receipts['ratio']:.2f} x"
    )
    print(f"  all of them: {receipts['judge_us'] * receipts['receipts'] / 1e6:.2f} s of one core")
    print(
        f"log: append {receipts['log_append_ms']:.2f} ms, plain append and fsync "
        f"{receipts['plain_append_fsync_ms']:.2f} ms (wall time)"
    )
    print(
        f"  verify all {receipts['log_verify_s']:.2f} s, SHA-256 of the same bytes "
        f"{receipts['sha256_of_log_s']:.2f} s; open {receipts['log_open_ms']:.1f} ms"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few seconds, rougher figures")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    docs = bench_documents(20 if given.quick else 200)
    receipts = bench_receipts(500 if given.quick else 10_000)
    if given.json:
        print(json.dumps({"documents": docs, "receipts": receipts}, indent=1))
    else:
        tell(docs, receipts)
    return 0 if docs["per_s"] >= PROMISED_PER_S else 1


if __name__ == "__main__":
    sys.exit(main())
