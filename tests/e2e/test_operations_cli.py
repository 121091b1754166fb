"""``consistency`` and ``compact`` as an operator runs them, beside what ``import`` and ``decide`` wrote."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from tests.command_line import run_command


@pytest.fixture
def run(tmp_path, monkeypatch, capfdbinary):
    """Run one command in a state directory of its own; answers exit code, stdout and stderr."""
    for name in ("STILLHERE_REDIS_URL", "STILLHERE_PRODUCT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STILLHERE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")

    def run_one(*arguments):
        code, out, err = run_command(capfdbinary, *arguments)
        return code, out.decode(), err

    return run_one


def log_of(file, events):
    file.write_bytes(b"\n".join(orjson.dumps(event) for event in events))
    return file


def login(number, at):
    return {"event_id": str(number), "user_id": "ada", "kind": "login", "occurred_at": at, "received_at": at}


def noon_two_days_ago():
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


def test_decisions_are_consistent_until_the_log_says_otherwise(run, tmp_path):
    before = noon_two_days_ago()
    run("import", log_of(tmp_path / "first.jsonl", [login(n, before + timedelta(minutes=n)) for n in range(5)]), "--log", "events")
    for _ in range(2):
        assert run("decide", "ada")[0] == 0
    code, out, _ = run("consistency", "--settle-s", "0")
    assert (code, out.splitlines()[0]) == (0, "2 of 2 decisions checked")
    assert ": 0 mismatch, 0 missing, 0 extra" in out
    assert out.splitlines()[2].startswith("freshness: newest known event p50 ")

    # An import of the past after the decision: known to the log before it, to the timeline after it.
    run("import", log_of(tmp_path / "second.jsonl", [login(99, before + timedelta(hours=1))]), "--log", "events")
    code, out, _ = run("consistency", "--settle-s", "0", "--json")
    report = orjson.loads(out)
    assert (code, report["consistent"], report["lagging"], report["total"]["mismatch"]) == (0, True, 2, 0)
    assert report["lag"]["max_s"] > 120_000

    oldest = min((tmp_path / "home").rglob("raw/day=*/*.parquet"), key=lambda part: part.stat().st_mtime)
    oldest.unlink()  # the log loses what decisions were made on
    code, out, _ = run("consistency", "--settle-s", "0")
    assert code == 1
    assert "count_login_30d: 2 mismatch" in out


def test_young_decisions_are_left_out(run, tmp_path):
    run("import", log_of(tmp_path / "log.jsonl", [login(1, noon_two_days_ago())]), "--log", "events")
    run("decide", "ada")
    code, out, _ = run("consistency", "--settle-s", "3600")
    assert (code, out.splitlines()[0]) == (0, "0 of 1 decisions checked (not: 1 too recent)")


def test_compact_says_what_it_did_and_a_second_run_has_nothing_to_do(run, tmp_path):
    before = noon_two_days_ago()
    events = [login(n, before) for n in range(3)]
    run("import", log_of(tmp_path / "a.jsonl", events), "--log", "events")
    run("import", log_of(tmp_path / "b.jsonl", events[:2]), "--log", "events")
    code, out, err = run("compact")
    assert (code, out) == (0, "")
    assert f"{before.date()}: 2 parts to 1, 5 rows to 3" in err
    assert "1 days compacted, 2 duplicate rows removed" in err
    assert "0 days compacted" in run("compact")[2]
    assert run("compact", "--memory-mib", "1")[0] == 2
