import json
import subprocess

LOOPBACK = {"DUNES_STARLINK_DISH_IP": "127.0.0.1", "DUNES_STARLINK_ROUTER_IP": "127.0.0.1"}


def test_status_of_a_new_gateway_tells_what_to_type_next(typed):
    done = typed("dunes", "status", "--timeout", "500ms", **LOOPBACK)
    assert (0, "") == (done.returncode, done.stderr)
    for words in ("mcp init", "no mesh yet", "dunes ingest", "link         unreachable"):
        assert words in done.stdout


def test_watching_writes_a_line_for_each_look(home, environment):
    home.mkdir()
    argv = ["dunes", "status", "--watch", "--every", "200ms", "--timeout", "100ms", "--json"]
    with subprocess.Popen(
        argv, env=environment | LOOPBACK, cwd=home, stdout=subprocess.PIPE, text=True
    ) as watch:
        rows = [json.loads(watch.stdout.readline()) for _ in range(2)]
        watch.terminate()
    assert {"dunes.status/1"} == {row["schema"] for row in rows}
    assert rows[0]["at"] < rows[1]["at"]


def test_watching_ends_after_the_time_it_was_given(typed):
    argv = ("status", "--watch", "--every", "100ms", "--for", "200ms", "--timeout", "100ms")
    done = typed("dunes", *argv, **LOOPBACK)
    assert 0 == done.returncode
    assert "link unreachable" in done.stdout


def test_doctor_names_each_check_with_its_verdict(typed):
    done = typed("dunes", "doctor", "--json", "--timeout", "6s", **LOOPBACK)
    report = json.loads(done.stdout)
    names = ["scripts", "clock", "disk", "sqlite", "database", "keys", "policies", "liboqs"]
    assert [*names, "dbus", "adapter", "router"] == [f["name"] for f in report["findings"]]
    assert done.returncode == (0 if report["healthy"] else 1)


def test_doctor_looks_only_where_it_is_told_to(typed):
    done = typed("dunes", "doctor", "--only", "sqlite", "--only", "keys")
    assert ["sqlite", "keys"] == [line.split()[1] for line in done.stdout.splitlines()]
    assert 2 == typed("dunes", "doctor", "--only", "weather").returncode


def test_a_failed_check_is_exit_1_with_its_hint(typed, home):
    keys = home / "dunes/keys"
    keys.mkdir(parents=True)
    keys.chmod(0o755)
    done = typed("dunes", "doctor", "--only", "keys")
    assert 1 == done.returncode
    assert f"hint: chmod 700 {keys}" in done.stdout
