"""The key commands as people and scripts use them, and what must never happen."""

import json
import os
import re
import stat
import subprocess
import sys

import pytest

from dunes.console.tree import programs

SECRET = "planted-passphrase-8471"


@pytest.fixture
def place(typed, home):
    """A place with an identity, and the programs to use it."""
    done = typed("dunes", "keygen", "--output", "gw.maml", "--name", "gw-1", "-q")
    assert 0 == done.returncode, done.stderr
    return typed


def kid_in(text):
    return re.search(r"\b[0-9a-f]{32}\b", text)[0]


def error_of(done):
    return json.loads(done.stderr.splitlines()[-1])["error"]


def test_the_guide_s_command_lines_work_word_for_word(typed, home):
    for line in (
        "qiskit dunes-keygen --bits 512",
        "qiskit dunes-keygen --output lunar-key.maml",
        "qiskit dunes-keygen --bits 512 --output mars-key.maml",
        "qiskit dunes-verify --key mars-key.maml",
    ):
        done = typed(*line.split())
        assert 0 == done.returncode, done.stderr
    names = {"quantum-key", "lunar-key", "mars-key"}
    made = {path.name for path in home.glob("*.maml")}
    assert {f"{n}{end}" for n in names for end in (".maml", ".pub.maml")} == made


def test_a_second_key_does_not_take_the_identity(place):
    first = kid_in(place("dunes", "keys", "show").stdout)
    place("dunes", "keygen", "--output", "other.maml", "-q")
    assert first == kid_in(place("dunes", "keys", "show").stdout)


def test_the_script_says_plainly_that_it_is_not_ibm_s(typed):
    done = typed("qiskit", "transpile", "x.qasm")
    assert 2 == done.returncode
    assert "IBM's Qiskit is a Python library without a script of this name" in done.stderr
    assert "qiskit dunes-keygen --help" in done.stderr


def test_every_algorithm_is_echoed_under_both_names(typed):
    for asked, given in (
        ("dilithium", "ML-DSA-65"),
        ("CRYSTALS-Dilithium", "ML-DSA-65"),
        ("dilithium2", "ML-DSA-44"),
        ("Dilithium5", "ML-DSA-87"),
    ):
        done = typed("dunes", "keygen", "--algo", asked, "--dry-run", "--json")
        report = json.loads(done.stdout)
        assert (asked, given, False) == (
            report["requested"],
            report["provided"],
            report["written"],
        )
    done = typed("dunes", "keygen", "--algo", "rsa", "--json")
    assert (2, "usage") == (done.returncode, error_of(done)["code"])


def test_another_parameter_set_signs_but_is_no_identity(typed):
    done = typed("dunes", "keygen", "--algo", "dilithium5", "--output", "big.maml", "--json")
    report = json.loads(done.stdout)
    assert ("ML-DSA-87", False) == (report["provided"], report["identity"])
    assert 0 == typed("dunes", "sign", "big.pub.maml", "--key", "big.maml").returncode
    done = typed("dunes", "verify", "big.pub.maml", "--signer", "big.pub.maml")
    assert "ML-DSA-87" in done.stdout
    done = typed("dunes", "seal", "big.maml", "--key", "big.maml", "--to", "big.pub.maml")
    assert 78 == done.returncode


def test_dry_run_writes_nothing(typed, home):
    assert 0 == typed("dunes", "keygen", "--dry-run").returncode
    assert [] == list(home.iterdir())


def test_files_have_their_modes_whatever_the_umask(typed, home):
    before = os.umask(0)
    try:
        typed("dunes", "keygen", "--output", "k.maml", "-q")
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in home.glob("*.maml")}
    assert {"k.maml": 0o600, "k.pub.maml": 0o644} == modes


def test_an_existing_key_is_kept_and_force_replaces_it(place, home):
    before = (home / "gw.maml").read_bytes()
    done = place("dunes", "keygen", "--output", "gw.maml", "--json")
    assert (77, "key-exists") == (done.returncode, error_of(done)["code"])
    assert before == (home / "gw.maml").read_bytes()
    assert 0 == place("dunes", "keygen", "--output", "gw.maml", "--force").returncode
    assert before != (home / "gw.maml").read_bytes()


def test_a_public_document_in_the_way_is_not_replaced(typed, home):
    home.joinpath("k.pub.maml").write_text("mine")
    assert 77 == typed("dunes", "keygen", "--output", "k.maml").returncode
    assert "mine" == home.joinpath("k.pub.maml").read_text()


@pytest.mark.parametrize("way", ["file", "env", "env-file", "credential", "fd"])
def test_a_passphrase_is_taken_from_every_place_but_the_command_line(typed, home, way):
    path = home / "secret"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    env, argv = {}, []
    match way:
        case "file":
            argv = ["--passphrase-file", "secret"]
        case "env":
            env = {"DUNES_PASSPHRASE": SECRET}
        case "env-file":
            env = {"DUNES_PASSPHRASE_FILE": str(path)}
        case "credential":
            (home / "dunes-passphrase").write_text(SECRET)
            env = {"CREDENTIALS_DIRECTORY": str(home)}
        case "fd":
            argv = ["--passphrase-fd", "0"]
    done = typed("dunes", "keygen", "-o", "k.maml", "--json", *argv, given=SECRET, **env)
    report = json.loads(done.stdout)
    assert "passphrase" == report["lock"]
    assert SECRET not in done.stdout + done.stderr
    done = typed("dunes", "keys", "verify", "k.maml", *argv, given=SECRET, **env)
    assert "opens    yes" in done.stdout
    assert "not tried" in typed("dunes", "keys", "verify", "k.maml").stdout
    done = typed("dunes", "keys", "verify", "k.maml", "--json", DUNES_PASSPHRASE="wrong")
    assert (77, "wrong-passphrase") == (done.returncode, error_of(done)["code"])


def test_a_passphrase_file_for_all_to_read_is_refused(typed, home):
    (home / "secret").write_text(SECRET)
    done = typed("dunes", "keygen", "--passphrase-file", "secret", "--json")
    assert (77, "key-refused") == (done.returncode, error_of(done)["code"])


def test_there_is_no_option_that_takes_a_passphrase():
    for root in programs().values():
        for node in root.walk():
            for option in node.options:
                assert option.names[-1] not in {"--passphrase", "--password", "--secret"}


SEEDS = """
from dunes.crypto import identity
from dunes.paths import find_paths
own = identity.load_identity(find_paths())
print(own.signing.seed_bytes().hex(), *[seed.hex() for seed in own.recipient.seed_bytes()])
"""


def test_no_secret_is_ever_printed_not_even_by_a_crash(place, home):
    done = subprocess.run(
        [sys.executable, "-c", SEEDS],
        env={"DUNES_HOME": str(home / "dunes"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    seeds = done.stdout.split()
    assert 3 == len(seeds)
    (home / "f").write_text("x")
    shown = ""
    for argv in (
        ["keys", "list", "--json"],
        ["keys", "show", "--json"],
        ["keys", "export", "--json"],
        ["keys", "rotate", "--dry-run", "--json"],
        ["keys", "verify", "gw.maml", "--json", "-vv"],
        ["seal", "f", "--json", "-vv"],
        ["open", "f.sealed", "-o", "g", "--json", "-vv"],
        ["sign", "f", "--json", "-vv"],
        ["seal", "none", "-vv"],
    ):
        done = place("dunes", *argv, DUNES_DEBUG="1", DUNES_PASSPHRASE=SECRET)
        shown += done.stdout + done.stderr
    for secret in (SECRET, *seeds):
        assert secret not in shown


def test_the_second_engine_is_never_fetched_built_or_even_imported(typed, home):
    """A marking `git`, `cmake` and `pip` on PATH, an empty HOME: no mark, and no wait."""
    tools = home / "tools"
    tools.mkdir()
    for name in ("git", "cmake", "pip", "cc"):
        (tools / name).write_text(f"#!/bin/sh\necho {name} $* >> {home}/mark\n")
        (tools / name).chmod(0o755)
    path = f"{tools}:{os.environ['PATH']}"
    probe = (
        "import sys; from dunes.{module} import app; from dunes.console import run;"
        "run(app, 'x', sys.argv[1:]); print('oqs' in sys.modules, file=sys.stderr)"
    )
    for module, *argv in (
        ["keygen_cli", "--help"],
        ["keygen_cli", "dunes-keygen", "--help"],
        ["keygen_cli", "dunes-keygen"],
        ["keygen_cli", "dunes-verify"],
        ["cli", "--help"],
        ["cli", "keys", "list"],
        ["cli", "seal", "quantum-key.pub.maml"],
        ["cli", "verify", "quantum-key.pub.maml.sealed"],
        ["cli", "doctor", "--only", "liboqs"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", probe.format(module=module), *argv],
            env={"PATH": path, "HOME": str(home), "DUNES_HOME": str(home / "d")},
            cwd=home,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert "False" == done.stderr.splitlines()[-1], argv
        assert "Traceback" not in done.stderr
    assert not (home / "mark").exists()


def test_without_liboqs_the_engine_is_missing_and_the_build_is_printed_not_run(place, home):
    (home / "f").write_text("x")
    assert 0 == place("dunes", "sign", "f").returncode
    done = place("dunes", "verify", "f", "--engine", "liboqs", "--json")
    if done.returncode == 0:
        pytest.skip("liboqs is installed here")
    error = error_of(done)
    assert ("engine-missing", 69) == (error["code"], error["exit"])
    assert 2 == place("dunes", "verify", "f", "--engine", "rot13").returncode


def test_a_stranger_s_seal_is_refused_by_name(place, home, typed):
    (home / "f").write_text("x")
    other = {"DUNES_HOME": str(home / "other")}
    typed("dunes", "keygen", "-o", "st.maml", "--name", "stranger", "-q", **other)
    done = typed("dunes", "seal", "f", "--to", "gw.pub.maml", **other)
    assert 0 == done.returncode, done.stderr
    done = place("dunes", "open", "f.sealed", "-o", "g", "--json")
    assert (1, "untrusted-key") == (done.returncode, error_of(done)["code"])
    assert not (home / "g").exists()
    assert 0 == place("dunes", "open", "f.sealed", "-o", "g", "--signer", "st.pub.maml").returncode


def test_nothing_comes_out_of_a_pipe_before_it_is_verified(place, home):
    (home / "f").write_bytes(os.urandom(300_000))
    place("dunes", "seal", "f")
    blob = bytearray((home / "f.sealed").read_bytes())
    blob[-1] ^= 1
    (home / "bad.sealed").write_bytes(blob)
    done = place("dunes", "open", "bad.sealed", "-o", "-", "--json")
    assert ("", 1, "bad-signature") == (done.stdout, done.returncode, error_of(done)["code"])


def test_pipes_carry_sealed_and_plain_files(place, home):
    (home / "f").write_bytes(os.urandom(100_000))
    done = place(
        "bash", "-c", "set -o pipefail; dunes seal - < f | dunes open - | cmp - f && echo same"
    )
    assert "same" in done.stdout, done.stderr


def test_trust_needs_the_kid_or_a_person(place, home, typed):
    other = {"DUNES_HOME": str(home / "other")}
    typed("dunes", "keygen", "-o", "gs.maml", "--role", "ground-station", "-q", **other)
    kid = kid_in((home / "gs.pub.maml").read_text())
    assert 2 == place("dunes", "keys", "trust", "gs.pub.maml").returncode
    assert 2 == place("dunes", "keys", "trust", "gs.pub.maml", "--kid", "0" * 32).returncode
    done = place("dunes", "keys", "trust", "gs.pub.maml", "--kid", kid, "--role", "operator")
    assert f"trusted {kid} (ground-station) as operator" in done.stdout
    assert 65 == place("dunes", "keys", "trust", "gs.maml", "--yes").returncode


def test_a_rotation_is_followed_without_a_question(place, home, typed):
    station = {"DUNES_HOME": str(home / "station")}
    typed("dunes", "keys", "trust", "gw.pub.maml", "--yes", **station)
    place("dunes", "keys", "rotate")
    place("dunes", "keys", "export", "-o", "new.pub.maml")
    done = typed("dunes", "keys", "trust", "new.pub.maml", **station)
    assert "it follows" in done.stdout
    done = typed(
        "dunes", "keys", "trust", "new.pub.maml", "--role", "operator", "--json", **station
    )
    assert 2 == done.returncode, "a successor has its predecessor's roles, not more"


def test_a_private_backup_restores_the_place_elsewhere(place, home, typed):
    (home / "pw").write_text(SECRET)
    (home / "pw").chmod(0o600)
    (home / "f").write_text("x")
    place("dunes", "seal", "f")
    done = place("dunes", "keys", "export", "--private", "-o", "safe.maml")
    assert 2 == done.returncode
    place("dunes", "keys", "export", "--private", "-o", "safe.maml", "--passphrase-file", "pw")
    other = {"DUNES_HOME": str(home / "elsewhere")}
    done = typed(
        "dunes", "open", "f.sealed", "-o", "g", "--key", "safe.maml", "--signer", "gw.pub.maml",
        "--passphrase-file", "pw", **other,
    )  # fmt: skip
    assert "x" == (home / "g").read_text(), done.stderr


KILLED = """
import os, sys
from pathlib import Path
from dunes.crypto import keyio
i = 0
os.umask(0)
print("ready", flush=True)
while True:
    keyio.write_new(Path(sys.argv[1]) / f"key-{os.getpid()}-{i}", b"K" * 20000)
    i += 1
"""


def test_kill_9_while_keys_are_written_leaves_none_torn_and_none_readable(tmp_path):
    for round_ in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE
        )
        writer.stdout.readline()
        try:
            writer.wait(timeout=0.03 + 0.007 * round_)
        except subprocess.TimeoutExpired:
            writer.kill()
        writer.communicate()
    found = list(tmp_path.iterdir())
    keys = [path for path in found if path.name.startswith("key-")]
    assert len(keys) > 12
    assert {20000} == {path.stat().st_size for path in keys}
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in found}
    assert len(found) - len(keys) <= 12, "at most one stray temporary for each kill"


def type_into(home, environment, *argv):
    import pexpect

    home.mkdir(exist_ok=True)
    return pexpect.spawn(
        argv[0], list(argv[1:]), env=environment, cwd=home, encoding="utf-8", timeout=20
    )


def test_a_person_is_asked_for_a_passphrase_twice_and_it_is_not_echoed(home, environment):
    child = type_into(home, environment, "dunes", "keygen", "-o", "k.maml")
    child.expect("Passphrase .empty: bind the key to this machine.:")
    child.sendline(SECRET)
    child.expect("Once more:")
    child.sendline(SECRET)
    child.expect("locked by passphrase")
    seen = child.before
    child.expect("identity")
    child.wait()
    assert SECRET not in seen
    child = type_into(home, environment, "dunes", "sign", "k.pub.maml")
    child.expect("Passphrase:")
    child.sendline(SECRET)
    child.expect("signed k.pub.maml")


def test_two_different_passphrases_make_no_key(home, environment):
    child = type_into(home, environment, "dunes", "keygen", "-o", "k.maml")
    child.expect("Passphrase")
    child.sendline(SECRET)
    child.expect("Once more:")
    child.sendline("another")
    child.expect("the two passphrases differ")
    child.expect_exact("\n")
    child.wait()
    assert (2, False) == (child.exitstatus, (home / "k.maml").exists())


def test_an_empty_passphrase_binds_the_key_to_the_machine(home, environment):
    child = type_into(home, environment, "dunes", "keygen", "-o", "k.maml")
    child.expect("Passphrase")
    child.sendline("")
    child.expect("locked by machine")


def test_a_kid_is_compared_by_a_person(home, environment):
    child = type_into(home, environment, "dunes", "keygen", "-o", "k.maml", "--machine-bound")
    child.expect("identity")
    child.wait()
    child = type_into(home, environment, "dunes", "keys", "trust", "k.pub.maml")
    child.expect("should have told you this kid: ([0-9a-f]{32})")
    child.expect("Is it the same")
    child.sendline("n")
    child.expect("aborted")
    child.wait()
    assert 1 == child.exitstatus


@pytest.mark.parametrize("output", [".", "/", "pipe", "keys"])
def test_what_is_no_file_is_never_written_over(place, home, output):
    os.mkfifo(home / "pipe")
    (home / "keys").mkdir()
    (home / "doc.txt").write_text("x\n")
    place("dunes", "seal", "doc.txt")
    for words in (
        ("keygen", "-o", output),
        ("seal", "doc.txt", "-o", output),
        ("open", "doc.txt.sealed", "-o", output),
        ("sign", "doc.txt", "-o", output),
        ("keys", "export", "-o", output),
        ("markup-generate", "--input", "doc.txt", "--output", output),
    ):
        done = place("dunes", *words, "--force")
        assert 2 == done.returncode, (words, done.stderr)
        assert "is not a regular file" in done.stderr
    assert stat.S_ISFIFO((home / "pipe").stat().st_mode)


def test_a_sealed_file_is_verified_out_of_a_pipe(place, home, environment):
    (home / "doc.txt").write_bytes(b"x" * 3_000_000)
    place("dunes", "seal", "doc.txt")
    place("dunes", "sign", "doc.txt")
    for script in (
        "cat doc.txt.sealed | dunes verify -",
        "dunes verify <(cat doc.txt.sealed)",
        "cat doc.txt | dunes verify - --signature doc.txt.sig",
        "(head -c 3 doc.txt.sealed; sleep 0.2; tail -c +4 doc.txt.sealed) | dunes verify -",
    ):
        done = subprocess.run(
            ["bash", "-c", script], env=environment, cwd=home, capture_output=True, check=False
        )
        assert 0 == done.returncode, (script, done.stderr)
