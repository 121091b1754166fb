"""A sweep: what is asked under which key, how fast, what becomes of errors, and when the next one is due. No clock but those here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from serving.client import Decision, StillhereError
from serving.sweep import GIVES_UP_AFTER, MOST_IN_A_LIST, USERS_PER_LIST, Pace, due_times, key_of, lists_of, sweep

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
USERS = tuple(f"user-{number:04}" for number in range(1_000))


class Clock:
    """Moves while somebody waits, and when it is moved."""

    def __init__(self, now=NOON) -> None:
        self.now, self.waits = now, []

    def __call__(self):
        return self.now

    def seconds(self):
        return (self.now - NOON).total_seconds()

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)


class Service:
    """Remembers by key, as the real one does; takes its time; fails for the lists that it is told to."""

    def __init__(self, clock, *, takes_s=0.0, fails=(), refuses=(), forgets=(), actions=("none",)) -> None:
        self.clock, self.takes_s, self.fails, self.refuses, self.actions = clock, takes_s, set(fails), set(refuses), actions
        self.forgets = set(forgets)
        self.asked, self.started_s, self.decided = [], [], {}

    def decide_many(self, user_ids, *, idempotency_key):
        self.asked.append(list(user_ids))
        self.started_s.append(self.clock.seconds())
        self.clock.now += timedelta(seconds=self.takes_s)
        if len(self.asked) in self.fails:
            raise StillhereError("overloaded", "too many wait", status=503)
        return self.decided.setdefault(idempotency_key, [self._answer(user_id) for user_id in user_ids])

    def _answer(self, user_id):
        if user_id in self.refuses:
            return StillhereError("invalid_request", f"{user_id!r} is no id")
        action = self.actions[len(self.decided) % len(self.actions)]
        return Decision(
            decision_id=f"{len(self.decided)}-{user_id}",
            user_id=user_id,
            action=action,
            reason=f"why_{action}",
            sentence="",
            risk=None,
            message=None,
            ask_again_at=None,
            degraded=("ledger_unavailable",) if user_id in self.forgets else (),
            raw={},
        )


@pytest.fixture
def clock():
    return Clock()


def swept(service, clock, users=USERS, *, due=NOON, per_second=1e6, **more):
    return sweep(users, due=due, service=service, pace=Pace(per_second=per_second, clock_s=clock.seconds, wait=clock.wait), **more)


def test_everybody_is_asked_about_once_in_lists_that_the_service_takes(clock):
    service = Service(clock, actions=("none", "send", "defer"))
    report = swept(service, clock)
    assert [user for users in service.asked for user in users] == list(USERS)
    assert max(map(len, service.asked)) <= MOST_IN_A_LIST
    assert USERS_PER_LIST / 2 < len(USERS) / len(service.asked) < USERS_PER_LIST * 2
    assert report.n_decided == report.n_silent == 1_000
    assert report.decided.keys() == {("none", "why_none"), ("send", "why_send"), ("defer", "why_defer")}
    assert report.to_json()["errors"] == {}


def test_nobody_at_all(clock):
    service = Service(clock)
    report = swept(service, clock, ())
    assert (service.asked, report.n_decided, clock.waits) == ([], 0, [])


def test_ids_that_end_no_list_are_cut_where_a_list_would_be_too_long():
    never = [user for user in (f"u{number}" for number in range(2_000)) if len(list(lists_of([user, "x"]))) == 1][:150]
    assert [len(users) for users in lists_of(never)] == [64, 64, 22]


def test_a_sweep_that_is_killed_and_made_again_decides_about_nobody_twice(clock):
    class KilledError(Exception):
        pass

    def killed(done, _total):
        if done > 500:
            raise KilledError

    service = Service(clock)
    with pytest.raises(KilledError):
        swept(service, clock, progress=killed)
    made = dict(service.decided)
    assert 500 < sum(map(len, made.values())) < 1_000
    swept(service, clock)
    assert service.decided.items() >= made.items()
    assert sum(map(len, service.decided.values())) == 1_000


def test_a_person_more_or_less_meanwhile_changes_one_list_and_no_other(clock):
    service = Service(clock)
    swept(service, clock)
    keys = set(service.decided)
    swept(service, clock, [user for user in USERS if user != "user-0500"])
    (fresh,) = service.decided.keys() - keys
    assert len(service.decided[fresh]) < MOST_IN_A_LIST


def test_the_next_sweep_asks_anew(clock):
    service = Service(clock)
    swept(service, clock, due=NOON)
    swept(service, clock, due=NOON + HOUR)
    assert sum(map(len, service.decided.values())) == 2_000


def test_the_key_is_of_the_instant_the_users_and_their_order_and_nothing_else():
    key = key_of(NOON, ["ada", "bob"])
    assert key == key_of(NOON.astimezone(tz=None), ("ada", "bob"))
    others = [key_of(NOON + HOUR, ["ada", "bob"]), key_of(NOON, ["bob", "ada"]), key_of(NOON, ["ada"]), key_of(NOON, ["adab", "ob"])]
    assert len({key, *others}) == 5
    assert all("!" <= letter <= "~" for letter in key_of(NOON, ["Zoë", "a b"]))
    assert len(key) <= 255


def test_no_faster_than_the_pace(clock):
    service = Service(clock, takes_s=0.01)
    swept(service, clock, per_second=20)
    for at, (asked, started_s) in enumerate(zip(service.asked, service.started_s, strict=True)):
        assert started_s == pytest.approx(sum(map(len, service.asked[:at])) / 20), asked


def test_a_service_that_is_slower_than_the_pace_is_not_waited_for_and_not_hurried_afterwards(clock):
    service = Service(clock, takes_s=30.0)
    swept(service, clock, per_second=20)
    gaps = [after - before for before, after in zip(service.started_s, service.started_s[1:], strict=False)]
    assert min(gaps) == 30.0  # never two at once, and never a burst
    assert max(gaps) <= max(30.0, MOST_IN_A_LIST / 20)


def test_one_that_cannot_be_a_user_costs_the_others_nothing(clock):
    report = swept(Service(clock, refuses={"user-0003", "user-0004"}), clock)
    assert (report.n_decided, dict(report.errors)) == (998, {"invalid_request": 2})
    assert report.faults == ["invalid_request: 'user-0003' is no id"]  # one example


def test_a_decision_that_nobody_remembers_is_none(clock):
    report = swept(Service(clock, forgets={"user-0003"}), clock)
    assert clock.seconds() < 5  # its Redis is there: what is wrong with one is not waited for as an outage is
    assert (report.n_decided, dict(report.errors)) == (999, {"ledger_unavailable": 1})
    assert "run the sweep again" in report.faults[0]


def test_lists_without_an_answer_are_counted_and_the_next_ones_asked(clock):
    service = Service(clock, fails={2, 3, 5, 6})
    report = swept(service, clock)
    assert [user for users in service.asked for user in users] == list(USERS)
    assert dict(report.errors) == {"overloaded": sum(len(service.asked[at]) for at in (1, 2, 4, 5))}
    assert report.n_left == 0


def test_a_service_that_answers_nothing_for_long_is_left_alone(clock):
    service = Service(clock, fails={3, 4, 5})
    report = swept(service, clock)
    assert len(service.asked) == 2 + GIVES_UP_AFTER
    assert report.n_left == 1_000 - sum(map(len, service.asked))
    assert report.to_json()["left"] == report.n_left > 0


class AwayLedger(Service):
    """Decides all the same while its Redis is away until an instant, sends nothing, and remembers nothing of that."""

    def __init__(self, clock, *, until_s) -> None:
        super().__init__(clock)
        self.until_s = until_s

    def decide_many(self, user_ids, *, idempotency_key):
        self.forgets = set(USERS) if self.clock.seconds() < self.until_s else set()
        answers = super().decide_many(user_ids, idempotency_key=idempotency_key)
        if self.forgets:
            del self.decided[idempotency_key]
        return answers


def test_a_redis_that_is_started_again_costs_nobody_their_decision(clock):
    service = AwayLedger(clock, until_s=60)
    report = swept(service, clock)
    assert (report.n_decided, dict(report.errors)) == (1_000, {})
    assert clock.seconds() < 120
    assert sum(map(len, service.decided.values())) == 1_000


def test_a_redis_that_stays_away_ends_the_sweep_and_is_not_asked_about_everybody(clock):
    service = AwayLedger(clock, until_s=1e9)
    report = swept(service, clock)
    first = list(lists_of(USERS))[:GIVES_UP_AFTER]
    assert dict(report.errors) == {"ledger_unavailable": sum(map(len, first))}
    assert (report.n_decided, report.n_left) == (0, 1_000 - sum(map(len, first)))


def test_progress_is_told_up_to_the_end(clock):
    told = []
    swept(Service(clock), clock, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (1_000, 1_000)
    assert told == sorted(told)


def test_sweeps_are_due_at_multiples_of_the_period_the_one_that_has_begun_at_once():
    clock = Clock(NOON + timedelta(minutes=20))
    dues = due_times(HOUR, clock=clock, wait=clock.wait)
    assert list(islice(dues, 3)) == [NOON, NOON + HOUR, NOON + 2 * HOUR]
    assert clock.waits == [2_400, 3_600]


def test_a_sweep_that_takes_longer_than_its_period_leaves_out_those_that_pass_meanwhile():
    clock = Clock()
    dues = due_times(HOUR, clock=clock, wait=clock.wait)
    assert next(dues) == NOON
    clock.now += timedelta(hours=2, minutes=30)
    assert next(dues) == NOON + 2 * HOUR
    assert next(dues) == NOON + 3 * HOUR


def test_waking_too_early_makes_no_sweep():
    clock = Clock()
    dues = due_times(HOUR, clock=clock, wait=lambda seconds: clock.wait(seconds / 2 if seconds > 1 else seconds))
    assert list(islice(dues, 2)) == [NOON, NOON + HOUR]
    assert clock.now == NOON + HOUR


def test_a_clock_that_is_set_back_repeats_no_sweep():
    clock = Clock()
    dues = due_times(HOUR, clock=clock, wait=clock.wait)
    assert next(dues) == NOON
    clock.now -= timedelta(minutes=90)
    assert next(dues) == NOON + HOUR
