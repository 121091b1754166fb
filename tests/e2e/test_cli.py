"""The command line, in this process: what a stranger reads, what programs read, and how each wrong input ends."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress
from functools import partial

import orjson
import pytest

from serving.adapters.run_file import Running, read_run_file, write_run_file
from serving.cli.processes import free_port
from tests.command_line import run_command
from tests.serving_world import ROOT
from tests.small_model import write_small_bundle

COMMANDS = (
    *("demo", "up", "init", "import", "rebuild", "train", "serve", "decide", "explain", "replay", "consistency", "features", "compact"),
    *("receipts", "erase", "sweep"),
)
PROFILES = """\
user_id,changed_at,plan,device,cohort,locale,signup_at,timezone,consent,in_app_opt_in,email_opt_in,first_name
ada,2026-03-01T11:00:00Z,team,web,,,,UTC,true,true,true,Ada
"""
LOADS = """
import sys, json
from serving.cli import main
from serving.cli.processes import free_port
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code == (0 if {"--help", "--version"} & set(sys.argv) else 2), ended.code
heavy = {"pandas", "numpy", "feast", "mlflow", "bentoml", "numba", "lightgbm", "redis", "pyarrow", "duckdb", "sklearn", "httpx", "fastapi"}
print("\\n" + json.dumps(sorted(heavy & set(sys.modules))), file=sys.stderr)
"""
EVENTS = """\
{"event_id": "1", "user_id": "ada", "kind": "login", "occurred_at": "2026-03-01T12:00:00Z"}
{"event_id": "2", "user_id": "ada", "kind": "login", "occurred_at": "2026-03-01T12:00:00"}
{"event_id": "3", "user_id": "ada"
{"event_id": "4", "user_id": "ben", "kind": "login", "occurred_at": "2026-03-01T12:05:00Z"}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory, onboarding):
    """A state directory with a model and nothing else."""
    home = tmp_path_factory.mktemp("home")
    write_small_bundle(onboarding, home / "products" / onboarding.name / "bundles" / "1")
    return home


@pytest.fixture
def run(home, monkeypatch, capfdbinary):
    """Run one command; answers exit code, stdout and stderr."""
    for name in ("STILLHERE_REDIS_URL", "STILLHERE_PRODUCT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STILLHERE_HOME", str(home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/none.db")

    return partial(run_command, capfdbinary)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["serve", "--help"],
        ["importt"],
        ["serve", "--port", "99999"],
        ["import", "/nowhere/events.csv"],
        ["init", "/nowhere/events.csv"],
        ["replay", "nonsense"],
        *([command, "--product", "products/nope"] for command in ("demo", "up", "rebuild", "train", "serve", "consistency", "compact")),
        ["decide", "ada", "--product", "products/nope"],
    ],
    ids=" ".join,
)
def test_help_and_typing_errors_are_answered_before_anything_heavy_is_loaded(arguments, tmp_path):
    environment = {**os.environ, "STILLHERE_HOME": str(tmp_path)}
    watched = subprocess.run([sys.executable, "-c", LOADS, *arguments], capture_output=True, text=True, check=True, env=environment)
    assert orjson.loads(watched.stderr.splitlines()[-1]) == []
    assert list(tmp_path.iterdir()) == []


def test_a_range_of_time_that_ends_before_it_begins_is_refused(run):
    code, out, err = run("replay", "--since", "2026-03-02", "--until", "2026-03-01T12:00:00Z")
    assert (code, out) == (2, b"")
    assert "--since 2026-03-02 00:00:00+00:00 is not before --until 2026-03-01 12:00:00+00:00" in " ".join(str(err).split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(run, command):
    code, out, _ = run(command, "--help")
    text = " ".join(out.decode().split())
    assert code == 0
    assert f"Example: stillhere {command}" in text
    assert "--home" in text or command == "init"


def test_the_list_of_commands(run):
    code, out, _ = run("--help")
    assert code == 0
    assert all(command in out.decode() for command in COMMANDS)


def test_the_version_is_that_of_the_project_for_people_and_for_programs(run):
    expected = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run("--version") == (0, f"stillhere {expected}\n".encode(), "")
    code, out, _ = run("--version", "--json")
    assert (code, orjson.loads(out)) == (0, {"name": "stillhere", "version": expected})


def test_decide_replay_and_explain_without_a_running_service(run, home):
    code, decided, err = run("decide", "ada")
    assert (code, err) == (0, "")
    decision = orjson.loads(decided)
    assert (decision["user_id"], decision["action"], decision["degraded"]) == ("ada", "none", [])

    code, replayed, err = run("replay", decision["decision_id"])
    assert (code, replayed) == (0, decided)
    assert err.splitlines() == ["decision: same", "score: same (differs by 0, allowed 1e-09)", "features: same"]

    code, story, _ = run("explain", decision["decision_id"])
    assert code == 0
    assert "has not consented" in " ".join(story.decode().split())

    code, receipt, _ = run("explain", decision["decision_id"], "--json")
    assert orjson.loads(receipt)["output"] == decision
    assert read_run_file(home / "run.json") is None


def test_a_terminal_gets_the_decision_in_words_and_everything_else_as_json(run, home):
    _, piped, _ = run("decide", "ada")
    _, asked, _ = run("decide", "ada", "--json")
    assert piped.count(b"\n") == asked.count(b"\n") == 1
    assert orjson.loads(piped).keys() == orjson.loads(asked).keys()

    text = on_a_terminal("decide", "ada")
    decision_id = re.search(r"stillhere explain (\S+)\. ", text)[1]
    kept = orjson.loads(run("explain", decision_id, "--json")[1])["output"]
    assert f"ada: no message ({kept['reason']['code']})" in text
    assert kept["reason"]["sentence"] in " ".join(re.sub("[│\\s]+", " ", text).split())
    assert "{" not in text
    assert orjson.loads(on_a_terminal("decide", "ada", "--json"))["user_id"] == "ada"


def on_a_terminal(*arguments):
    """Everything that one command writes to a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-m", "serving.cli", *arguments], stdout=theirs, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        text = b""
        with suppress(OSError):  # Linux: EIO once the other end is closed
            while part := os.read(ours, 65_536):
                text += part
    os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", text.decode())


def test_many_decisions_are_replayed_and_run_under_another_policy(run, tmp_path):
    for user_id in ("ada", "bob"):
        run("decide", user_id)
    code, text, _ = run("replay", "--all")
    assert code == 0
    assert "different, 0 not checked" in text.decode()
    code, counts, _ = run("replay", "--since", "2099-01-01", "--json")
    assert (code, orjson.loads(counts)["receipts"]) == (0, 0)
    other = tmp_path / "policy.yaml"
    other.write_text(
        (ROOT / "products" / "onboarding" / "policy.yaml")
        .read_text()
        .replace("consent_attribute: consent", "consent_attribute: in_app_opt_in")
    )
    code, found, _ = run("policy", "backtest", other, "--json")
    assert (code, orjson.loads(found)["decisions"] >= 2) == (0, True)
    code, text, _ = run("policy", "backtest", other)
    assert (code, b"sent only then: 0; only now: " in text) == (0, True)
    assert b"worth: not estimated: the policies that decided left nothing to chance" in text
    code, _, err = run("replay", "--all", "dfdee430d40bd57de-01kjmma2g00000000000000000")
    assert (code, "give a decision id, or one of" in err) == (2, True)


@pytest.mark.parametrize("command", [["policy", "backtest"], ["replay", "--all", "--policy"]], ids=" ".join)
def test_the_policy_of_another_product_is_refused_in_one_sentence(run, tmp_path, command):
    shop = ROOT / "products" / "shop"
    code, out, err = run(*command, shop / "policy.yaml")
    assert (code, out, err.count("\n")) == (2, b"", 1)
    assert f"{shop / 'policy.yaml'}: got the policy 'shop', and " in err
    assert f"expected a policy made for onboarding; give one, or add --product {shop}\n" in err
    renamed = tmp_path / "policy.yaml"
    renamed.write_text((shop / "policy.yaml").read_text().replace("name: shop", "name: onboarding"))
    code, _, err = run(*command, renamed)
    assert (code, err.count("\n"), f"list them: stillhere policy check {renamed} --product " in err) == (2, 1, True)
    code, _, err = run(*command, policy_with(tmp_path, "consent_attribute: consent", "consent_attribute: consnt"))
    assert (code, 'consent_attribute: found "consnt", expected one of' in err) == (2, True)


def policy_with(folder, old, new):
    """The shipped policy with one change."""
    text = (ROOT / "products" / "onboarding" / "policy.yaml").read_text()
    assert old in text
    (folder / "changed.yaml").write_text(text.replace(old, new))
    return folder / "changed.yaml"


def test_a_policy_is_checked_and_what_is_wrong_is_refused(run, tmp_path):
    code, text, _ = run("policy", "check")
    assert (code, b"policy.yaml" in text) == (0, True)
    wrong = tmp_path / "policy.yaml"
    wrong.write_text((ROOT / "products" / "onboarding" / "policy.yaml").read_text().replace("risk_threshold: 0.60", "risk_threshold: 6.0"))
    code, _, err = run("policy", "check", wrong)
    assert (code, "risk_threshold" in err) == (2, True)


def test_explaining_a_user_remembers_nothing(run):
    code, receipt, _ = run("explain", "somebody", "--json")
    assert code == 0
    decision_id = orjson.loads(receipt)["decision_id"]
    code, _, err = run("replay", decision_id)
    assert code == 2
    assert "no decision" in err


def test_rebuild_brings_timelines_back_from_the_raw_log(run, tmp_path):
    log = tmp_path / "events.jsonl"
    log.write_text(EVENTS)
    assert run("import", log, "--log", "events")[0] == 0
    code, _, err = run("rebuild", "ada")
    assert code == 0
    assert "1 events of 1 users" in err
    code, _, err = run("rebuild", "ada", "stranger")
    assert code == 2
    assert "is of stranger; correct the name" in err


def test_rebuild_brings_everything_back_after_the_loss_of_redis(run, tmp_path):
    home = tmp_path / "home"
    (tmp_path / "events.jsonl").write_text(EVENTS)
    (tmp_path / "profiles.csv").write_text(PROFILES)
    for name in ("events", "profiles"):
        assert run("import", next(tmp_path.glob(f"{name}.*")), "--log", name, "--home", home)[0] == 0
    (home / "redis" / "appendonly.aof").unlink()
    known = orjson.loads(run("explain", "ada", "--json", "--home", home)[1])["inputs"]
    assert (known["n_events"], known["profile"]) == (0, {})
    assert run("rebuild", "--home", home)[:2] == (0, b"")
    known = orjson.loads(run("explain", "ada", "--json", "--home", home)[1])["inputs"]
    assert (known["n_events"], known["profile"]["plan"], known["profile"]["consent"]) == (1, "team", True)


def test_import_sets_bad_rows_aside_and_goes_on(run, tmp_path):
    log = tmp_path / "events.jsonl"
    log.write_text(EVENTS)
    code, _, err = run("import", log, "--log", "events")
    assert code == 0
    assert "4 rows, 2 admitted (2 distinct) of 2 users; refused: 1 naive_timestamp, 1 malformed" in err
    code, out, _ = run("explain", "ada", "--json")
    assert orjson.loads(out)["inputs"]["n_events"] == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["decide"], "USER_ID"),
        (["decide", " "], "not blank"),
        (["decide", "x" * 129], "129 characters, expected 1 to 128"),
        (["decide", "ada", "--product", "products/nowhere"], "products/nowhere"),
        (["replay", "nonsense"], "'nonsense' is not a decision id, expected one such as dfdee"),
        (["replay", "dfdee430d40bd57de-01kjmma2g00000000000000000"], "give a decision_id"),
        (["import", "/nowhere"], "there is no file or folder /nowhere"),
        (["import", ".", "--log", "nope"], "declares no log 'nope', expected one of events, profiles"),
        (["import", "tests"], "holds none of the files"),
        (["serve", "--port", "many"], "port"),
        (["serve", "--host", "no address"], "--host 'no address': got no address and no name that has one"),
        (["up", "--port", "5000"], "--port and --mlflow-port are the same port"),
        (["serve", "--port", "99999"], "Must be <= 65535"),
        (["demo", "--users", "0"], "Must be >= 1"),
        (["nonsense"], "nonsense"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else None,
)
def test_bad_input_ends_with_2_and_one_readable_message(run, arguments, expected):
    code, out, err = run(*arguments)
    assert (code, out) == (2, b"")
    assert expected in " ".join(err.split())
    assert "Traceback" not in err


def test_a_setting_that_cannot_be_used_is_named(run, monkeypatch):
    monkeypatch.setenv("STILLHERE_PARTITIONS", "many")
    code, _, err = run("decide", "ada")
    assert code == 2
    assert err.startswith("stillhere: STILLHERE_PARTITIONS is 'many', expected a whole number from 1 to 256")


def test_a_redis_that_is_away_still_gives_a_decision(run, monkeypatch):
    monkeypatch.setenv("STILLHERE_REDIS_URL", "redis://127.0.0.1:1/0")
    code, out, _ = run("decide", "ada")
    assert code == 0
    assert orjson.loads(out)["degraded"] == ["features_unavailable", "profile_unavailable", "ledger_unavailable"]
    code, _, err = run("replay", "dfdee430d40bd57de-01kjmma2g00000000000000000")
    assert code == 1
    assert "start Redis" in err


def test_a_second_service_on_the_same_state_is_refused(run, home):
    write_run_file(home / "run.json", Running(pid=1, redis_url="redis://127.0.0.1:1/0", api_url="http://127.0.0.1:1"))
    try:
        code, _, err = run("serve")
    finally:
        (home / "run.json").unlink()
    assert code == 1
    assert "is in use by process 1" in err


def test_the_demo_never_deletes_what_it_did_not_make(run, tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    code, _, err = run("demo", "--home", tmp_path)
    assert code == 2
    assert "holds data that the demo did not make" in err
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_up_builds_in_a_new_place_and_makes_nothing_where_it_refuses(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.txt").write_text("precious")
    ports = ["--port", str(free_port()), "--mlflow-port", str(free_port())]
    assert run("up", *ports, "--home", tmp_path / "mine")[0] == 2
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["mine.txt"]

    up = [sys.executable, "-m", "serving.cli", "up", *ports, "--users", "50", "--home", str(tmp_path / "new")]
    wide = {**os.environ, "COLUMNS": "500"}  # so that a long path stays on its line
    with subprocess.Popen(up, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=wide) as process:
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert first.startswith(f"State: {tmp_path}")


def test_the_decisions_of_a_person_are_listed_and_erased_with_them(run):
    ids = [orjson.loads(run("decide", user_id)[1])["decision_id"] for user_id in ("grace", "grace", "bystander")]
    code, out, _ = run("receipts", "grace")
    assert (code, [line.split("\t")[0] for line in out.decode().splitlines()]) == (0, ids[:2])
    code, _, err = run("erase", "grace")
    assert (code, err) == (2, "stillhere: this would erase everything about grace, for good; add --yes to do it\n")
    code, out, _ = run("erase", "grace", "--yes")
    assert (code, out) == (0, b"erased: 1 id of one person\n")
    assert run("receipts", "grace")[:2] == (0, b"")
    assert orjson.loads(run("decide", "grace")[1])["reason"]["code"] == "user_erased"
    assert run("receipts", "bystander")[1].decode().split("\t")[0] == ids[2]


def test_no_id_brings_an_escape_or_a_column_onto_the_terminal_and_json_has_it_as_it_is(run):
    evil = "eve\x1b[2J\tsend"
    decision = orjson.loads(run("decide", evil)[1])
    assert decision["user_id"] == evil
    said = [run("receipts", evil)[1], run("explain", evil)[1], run("explain", decision["decision_id"])[1], run("erase", evil)[2].encode()]
    assert b"\teve\\x1b[2J\\x09send\t" in said[0]
    assert all(b"\x1b" not in text and b"eve\\x1b[2J" in text for text in said)


def test_erasing_an_id_that_was_never_seen_says_that_nothing_was_stored(run, tmp_path):
    code, _, err = run("erase", "grcae")
    assert (code, "about grcae (no event, attribute or decision is known: a typing error in the id?), for good" in err) == (2, True)
    never = b"nothing was stored under grcae: a typing error in the id? What arrives under it from now on is refused.\n"
    assert run("erase", "grcae", "--yes")[:2] == (0, never)
    again = b"nothing was stored under grcae: they were erased before. What arrives under it from now on is refused.\n"
    assert run("erase", "grcae", "--yes")[:2] == (0, again)
    assert "is known: they were erased before), for good" in run("erase", "grcae")[2]


def test_whoever_has_only_events_or_only_a_row_in_a_file_is_not_called_unknown(run, home, tmp_path):
    (tmp_path / "log.jsonl").write_text(EVENTS.replace("ben", "benno"))
    assert run("import", tmp_path / "log.jsonl", "--log", "events")[0] == 0
    assert run("erase", "benno")[2] == "stillhere: this would erase everything about benno, for good; add --yes to do it\n"
    assert run("erase", "benno", "--yes")[1] == b"erased: 1 id of one person\n"
    incoming = home / "products" / "onboarding" / "incoming" / "waits.csv"
    incoming.parent.mkdir(parents=True, exist_ok=True)
    incoming.write_text("user_id\nwaiting-one\n")
    assert run("erase", "waiting-one", "--yes")[1] == b"erased: 1 id of one person\n"


@pytest.mark.parametrize("command", ["receipts", "erase"])
def test_what_cannot_be_a_user_is_refused(run, command):
    code, _, err = run(command, "x" * 129)
    assert (code, "expected 1 to 128" in err) == (2, True)
