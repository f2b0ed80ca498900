"""How long a person waits for help, a mistake and TAB; against `python -c pass` in the same run.

    python benchmarks/bench_startup.py [--rounds 20]

CPU time (user and system) of whole processes, the median of the rounds. The promise is
below 100 ms on a quiet machine for help and mistakes; the ratio is what can be compared
between machines.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

SCRIPTS = Path(sysconfig.get_path("scripts"))
ROOT = Path(__file__).resolve().parent.parent
TAB = (
    f'source "{ROOT}/completions/bash/dunes"; compopt() {{ :; }}; COMP_WORDS=(dunes st); '
    "COMP_CWORD=1; _dunes_complete"
)

CASES = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "dunes --help": [str(SCRIPTS / "dunes"), "--help"],
    "dunes --version": [str(SCRIPTS / "dunes"), "--version"],
    "dunes (a typo)": [str(SCRIPTS / "dunes"), "statos"],
    "dunes status (a wrong option)": [str(SCRIPTS / "dunes"), "status", "--nope"],
    "mcp --help": [str(SCRIPTS / "mcp"), "--help"],
    "dunes config get mesh.id": [str(SCRIPTS / "dunes"), "config", "get", "mesh.id"],
    "dunes complete-names tables": [str(SCRIPTS / "dunes"), "complete-names", "tables"],
    "TAB in bash": ["bash", "--norc", "-c", TAB],
}


def children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_ms(argv, env):
    before_s = children_s()
    subprocess.run(argv, env=env, capture_output=True, check=False)
    return 1000 * (children_s() - before_s)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": f"{SCRIPTS}:/usr/bin:/bin", "HOME": home, "DUNES_HOME": home}
        taken = {name: [] for name in CASES}
        for _ in range(rounds + 1):  # the cases take turns, so a noisy minute hits all alike
            for name, argv in CASES.items():
                taken[name].append(cpu_ms(argv, env))
    medians = {name: statistics.median(values[1:]) for name, values in taken.items()}
    base = medians["python -c pass"]
    for name, value in medians.items():
        print(f"{name:32} {value:6.1f} ms  {value / base:5.1f} x python -c pass")
    print(json.dumps({name: round(value, 1) for name, value in medians.items()}))


if __name__ == "__main__":
    main()
