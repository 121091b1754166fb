"""`stillhere sweep` as an operator runs it: what it says before it asks, and how each wrong input ends. What it does when it asks is in
`tests/e2e/test_service_process.py`."""

from __future__ import annotations

import os
import re
import signal
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread, Timer, get_ident

import httpx
import orjson
import pytest

from features.adapters.embedded_redis import EmbeddedRedis
from features.adapters.raw_log import ParquetRawLog
from features.core.alias import Alias
from features.core.event import Event
from features.home import Home
from serving import bootstrap
from serving.adapters.run_file import Running, write_run_file
from serving.cli.faults import BadInputError
from serving.cli.processes import ProcessError, free_port
from serving.cli.sweep_command import as_text, client_of
from serving.cli.swept_service import await_product
from serving.client import StillhereError
from serving.sweep import SweepReport
from tests.certain import certain_product
from tests.command_line import run_command
from tests.serving_world import ROOT

NOW = datetime.now(UTC)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def run(home, monkeypatch, capfdbinary):
    """Run one sweep; answers exit code, stdout and stderr."""
    for name in ("STILLHERE_REDIS_URL", "STILLHERE_PRODUCT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STILLHERE_HOME", str(home.root))
    monkeypatch.setenv("STILLHERE_PRODUCT", str(ROOT / "products" / "onboarding"))

    def run_one(*arguments):
        code, out, err = run_command(capfdbinary, "sweep", *arguments)
        return code, out.decode(), err

    return run_one


def was_here(home, **days_ago):
    at = {user: NOW - timedelta(days=days) for user, days in days_ago.items()}
    events = [Event(event_id=user, user_id=user, kind="login", occurred_at=when, received_at=when) for user, when in at.items()]
    ParquetRawLog(home.raw_dir("onboarding")).append(events)


def test_a_dry_run_says_how_many_and_needs_no_service(run, home):
    was_here(home, ada=2, bob=8, cyd=0.5, eve=100)
    code, out, err = run("--dry-run")
    assert (code, out.endswith(": 2 silent would be asked about\n"), err) == (0, True, "")
    code, out, _ = run("--dry-run", "--silent-for", "7d", "--silent-until", "365d", "--json", "--due", NOW.isoformat())
    assert (code, orjson.loads(out)) == (0, {"due": NOW.isoformat(), "silent": 2})


def test_a_dry_run_of_a_period_is_of_the_sweep_that_has_begun(run, home):
    was_here(home, ada=3)
    code, out, _ = run("--dry-run", "--every", "1d", "--json")
    assert code == 0
    assert orjson.loads(out)["due"].endswith("T00:00:00+00:00")


@pytest.mark.parametrize(("unless_said", "silent", "left_out"), [("kept", 2, 1), ("refused", 1, 2)])
def test_s1_15_who_is_not_tracked_is_left_out_and_told(run, home, redis_url, monkeypatch, tmp_path, unless_said, silent, left_out):
    """ada agreed, bob said no and may be here at this moment, cyd said nothing; dan is the phone of bob."""
    was_here(home, ada=2, bob=2, cyd=2, dan=2, eve=0.1)
    folder = certain_product(tmp_path / "product")
    with (folder / "product.yaml").open("a") as declared:
        declared.write(f"\ncollection: {{attribute: consent, unless_said: {unless_said}}}\n")
    monkeypatch.setenv("STILLHERE_PRODUCT", str(folder))
    monkeypatch.setenv("STILLHERE_REDIS_URL", redis_url)
    opened = bootstrap.installation(bootstrap.settings_from_environment(), redis_url, asks_registry=False)
    opened.profiles.write({"ada": {"consent": True}, "bob": {"consent": False}}, changed_us=1)
    alias = Alias(previous_id="dan", user_id="bob", occurred_at=NOW, received_at=NOW)
    assert opened.attacher.attach(alias) is None
    opened.attacher.record([alias])
    opened.close()
    code, out, err = run("--dry-run")
    told = f"{silent} silent would be asked about\n  {left_out} left out: they are not tracked, so nobody can say whether they are silent\n"
    assert (code, out.endswith(told), err) == (0, True, ""), out
    assert orjson.loads(run("--dry-run", "--json", "--due", NOW.isoformat())[1]) == {
        "due": NOW.isoformat(),
        "silent": silent,
        "untracked": left_out,
    }


def test_s1_15_a_dry_run_beside_no_service_reads_the_answers_of_the_bundled_redis(run, home, monkeypatch, tmp_path):
    was_here(home, ada=2, bob=2)
    folder = certain_product(tmp_path / "product")
    with (folder / "product.yaml").open("a") as declared:
        declared.write("\ncollection: {attribute: consent, unless_said: kept}\n")
    monkeypatch.setenv("STILLHERE_PRODUCT", str(folder))
    with EmbeddedRedis(home.redis_dir) as server:
        opened = bootstrap.installation(bootstrap.settings_from_environment(), server.url, asks_registry=False)
        opened.profiles.write({"bob": {"consent": False}}, changed_us=1)
        opened.close()
    code, out, _ = run("--dry-run", "--json", "--due", NOW.isoformat())
    assert (code, orjson.loads(out)) == (0, {"due": NOW.isoformat(), "silent": 1, "untracked": 1})


def test_a_log_that_has_ended_or_has_nothing_is_told(run, home):
    home.raw_dir("onboarding").mkdir(parents=True)
    assert "holds no event of before" in run("--dry-run")[2]
    was_here(home, ada=5)
    code, out, err = run("--dry-run")
    assert (code, ": 1 silent" in out) == (0, True)
    assert f"the newest event of anybody is of {NOW - timedelta(days=5):%Y-%m-%d %H:%M} UTC: events have probably stopped coming in" in err


def test_without_a_service_it_says_how_to_come_to_one(run, home):
    was_here(home, ada=2)
    code, out, err = run()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"no service runs on {home.root}: expected one to ask; start it with `stillhere serve`, or name another with --url" in err


def test_a_service_that_does_not_answer_is_said_at_once(run, home):
    was_here(home, ada=2)
    url = f"http://127.0.0.1:{free_port()}"
    write_run_file(home.run_file, Running(pid=os.getpid(), redis_url="redis://127.0.0.1:1/0", api_url=url))
    for options in ([], ["--url", url], ["--url", f"{url}/"]):
        code, out, err = run(*options)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert f"nothing answers at {url}: " in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--silent-for", "7 days"], "--silent-for: got '7 days', expected a duration such as 7d"),
        (["--silent-until", "1.5h"], "--silent-until: got '1.5h'"),
        (["--silent-for", "8d", "--silent-until", "7d"], "--silent-for 8d is longer than --silent-until 7d"),
        (["--every", "7d"], "--every: got 7d, expected 1m to 1d"),
        (["--every", "7d"], "for fewer sweeps let your scheduler run `stillhere sweep`"),
        (["--every", "30s"], "--every: got 30s, expected 1m to 1d; who fell silent within a minute is found by the next sweep"),
        (["--silent-for", "-1d"], "--silent-for: got '-1d', expected a duration such as 7d"),
        (["--silent-until", "-1d"], "--silent-until: got '-1d', expected a duration such as 7d"),
        (["--every", "-1h"], "--every: got '-1h', expected a duration such as 7d"),
        (["--every", "1h", "--due", "2026-03-02"], "--due and --every: got both"),
        (["--due", "2026-03-02T10:00:00Z"], "--due: got 2026-03-02T10:00:00+00:00, expected an instant of the last 24 hours"),
        (["--due", "2999-01-01T00:00:00Z"], "expected an instant of the last 24 hours"),
        (["--url", "localhost:3000"], "--url: got 'localhost:3000', expected an address such as http://localhost:3000"),
        (["--per-second", "0"], "per-second"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_meant_is_refused_in_a_sentence(run, arguments, said):
    code, out, err = run(*arguments)
    assert code == 2
    assert said in " ".join((out + err).split())
    assert "Traceback" not in err


@pytest.fixture
def listening():
    """Something that answers on a port: its URL, what it says of its readiness, and what it was asked."""
    ready, asked = {}, []

    class Answers(BaseHTTPRequestHandler):
        def answer(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(self.path)
            status, content = ready["answer"] if self.path == "/readyz" else (404, b"{}")
            if self.path != "/readyz":
                ready.get("asked", lambda: None)()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815 - names of the standard library

        def log_message(self, *_):
            """Not on stderr, which is looked at."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", ready, asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("options", [[], ["--every", "1d"]], ids=["once", "again and again"])
def test_a_service_of_another_product_is_asked_about_nobody(run, home, listening, options):
    was_here(home, ada=2)
    url, ready, asked = listening
    ready["answer"] = 200, b'{"status":"ready","product":"shop","checks":{}}'
    code, out, err = run("--url", url, *options)
    assert (code, out, asked) == (2, "", ["/readyz"])
    assert err == (
        f"stillhere: the service at {url} serves the product shop, expected onboarding as in the product.yaml of this sweep; "
        "name a service of that product with --url, or the other product with --product and --home\n"
    )


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (
            503,
            b'{"error":{"code":"not_ready","message":"redis is full"}}',
            "is not ready (redis is full): expected one",
        ),
        (503, b"<html>", "is not ready: expected one that takes requests"),
        (200, b'{"status":"ready","checks":{}}', "/readyz answers 200 and names no product: expected a service of this release"),
        (200, b"[]", "/readyz answers 200 and names no product"),
        (404, b"no such page", "/readyz answers 404 and names no product"),
    ],
)
def test_what_does_not_say_whose_it_is_is_asked_about_nobody(run, home, listening, status, content, said):
    was_here(home, ada=2)
    url, ready, asked = listening
    ready["answer"] = status, content
    code, out, err = run("--url", url)
    assert (code, out, err.count("\n"), asked) == (1, "", 1, ["/readyz"])
    assert said in err


def test_a_service_of_the_product_is_asked(run, home, listening):
    was_here(home, ada=2)
    url, ready, asked = listening
    ready["answer"] = 200, b'{"status":"degraded","product":"onboarding","checks":{}}'
    code, out, _ = run("--url", url)
    assert (code, asked) == (1, ["/readyz", "/v1/decisions"])
    assert "1  error   unexpected_answer" in out


def test_sweeps_that_go_on_wait_two_minutes_for_a_service_and_say_so_once():
    url, waits, warnings = f"http://127.0.0.1:{free_port()}", [], []
    with pytest.raises(ProcessError, match=f"nothing answers at {url}"):
        await_product(url, "onboarding", wait=waits.append, warn=warnings.append)
    assert sum(waits) == 121.5
    assert len(warnings) == 1
    assert warnings[0].endswith("(trying again for two minutes)")


def test_a_service_that_comes_meanwhile_is_asked_and_another_product_is_not_waited_for():
    waits, warnings = [], []
    answers = [httpx.Response(503), httpx.Response(200, json={"product": "onboarding"}), httpx.Response(200, json={"product": "shop"})]
    how = {"wait": waits.append, "warn": warnings.append, "transport": httpx.MockTransport(lambda _: answers.pop(0))}
    await_product("http://stillhere", "onboarding", **how)
    with pytest.raises(BadInputError, match="serves the product shop, expected onboarding"):
        await_product("http://stillhere", "onboarding", **how)
    assert (waits, len(warnings)) == ([0.5], 1)


def test_a_sweep_that_is_ended_says_how_far_it_was_and_how_it_goes_on(run, home, listening):
    was_here(home, **{f"user{number:03}": 2 for number in range(100)})
    url, ready, asked = listening
    ready["answer"] = 200, b'{"status":"ready","product":"onboarding","checks":{}}'
    end = partial(signal.pthread_kill, get_ident(), signal.SIGINT)
    ready["asked"] = lambda: Timer(0.2, end).start()  # minutes before it asks about the second list
    due = datetime.now(UTC).replace(microsecond=0)
    code, out, err = run("--url", url, "--per-second", "0.01", "--due", due.isoformat())
    assert (code, out) == (130, "")
    assert asked == ["/readyz", "/v1/decisions"]
    (asked_about,) = re.findall(r"stillhere: the sweep was ended, (\d+) of 100 were asked about; ", err)
    assert 0 < int(asked_about) < 100
    assert f"it goes on where it was with --due {due:%Y-%m-%dT%H:%M:%SZ} (for 24 hours)" in err


def test_serve_refuses_a_period_before_it_starts_anything(home, monkeypatch, capfdbinary):
    monkeypatch.setenv("STILLHERE_HOME", str(home.root))
    code, _, err = run_command(capfdbinary, "serve", "--sweep-every", "2d")
    assert (code, err) == (
        2,
        "stillhere: --sweep-every: got 2d, expected 1m to 1d; for fewer sweeps let your scheduler run `stillhere sweep`\n",
    )
    assert not home.root.exists()


def test_counts_come_by_action_and_reason_and_then_what_went_wrong():
    report = SweepReport(due=datetime(2026, 3, 2, 10, tzinfo=UTC), n_silent=1_300)
    report.decided.update({("none", "no_consent"): 1_200, ("send", "sent_by_high_risk"): 30})
    report.count_error(StillhereError("overloaded", "too many wait", what_to_do="wait"), 32)
    report.n_untracked = 7
    assert as_text(report).splitlines() == [
        "due 2026-03-02 10:00 UTC: 1,300 silent, 1,230 decided about",
        "     1,200  none    no_consent",
        "        30  send    sent_by_high_risk",
        "        32  error   overloaded",
        "  e.g. overloaded: too many wait; wait",
        "  7 left out: they are not tracked, so nobody can say whether they are silent",
        "  38 were not asked about: the service gave no answer for long; run it again when it does",
    ]


def test_a_service_that_starts_again_is_waited_for_two_minutes_a_list_and_no_longer():
    waits = []
    with client_of(f"http://127.0.0.1:{free_port()}", wait=waits.append) as asks, pytest.raises(StillhereError) as unreachable:
        asks.decide_many(["ada"], idempotency_key="k")
    assert unreachable.value.code == "unreachable"
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_full_service_is_asked_again_when_it_says_but_none_keeps_a_sweep_for_a_day():
    full = {"error": {"code": "overloaded", "message": "too many wait", "what_to_do": "wait"}}
    answers = [httpx.Response(503, headers={"Retry-After": after}, json=full) for after in ("3", "86400")]
    waits, keys = [], []

    def answer(request):
        keys.append(request.headers["Idempotency-Key"])
        return answers.pop(0) if answers else httpx.Response(200, json=[full])

    with client_of("http://stillhere", wait=waits.append, transport=httpx.MockTransport(answer)) as asks:
        assert [error.code for error in asks.decide_many(["ada"], idempotency_key="k")] == ["overloaded"]
    assert (waits, keys) == ([3.0, 30.0], ["k"] * 3)
