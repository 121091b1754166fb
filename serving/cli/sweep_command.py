"""``sweep``: asks a running service about everybody who is silent, once or again and again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from serving.cli.faults import BadInputError
from serving.cli.options import HERE, Place
from serving.cli.sweep_plan import HOW, WHEN, WHOM, How, Plan, When, Whom, plan_of
from serving.cli.sweep_whom import Look, looking, minute
from serving.cli.swept_service import await_product, require_product
from serving.cli.terminal import print_json, say, warn

if TYPE_CHECKING:
    import httpx

    from features.core.product import Product
    from serving.cli.steps import Share
    from serving.client import Client
    from serving.settings import Settings
    from serving.sweep import SweepReport

_TRIES, _FIRST_WAIT_S, _LONGEST_WAIT_S = 10, 0.5, 30.0
"""Of one list: two minutes of waiting in all, in which a service is started again; its tries may take as long, where it does not answer."""
_TIMEOUT_S = 15.0  # the service ends what takes longer than 14 s


def sweep(
    *,
    whom: Whom = WHOM,
    when: When = WHEN,
    how: How = HOW,
    dry_run: Annotated[bool, Parameter(help="Say how many would be asked about, and ask about nobody.", negative=())] = False,
    json: Annotated[bool, Parameter(help="Print counts as JSON, a line for each sweep.", negative=())] = False,
    place: Place = HERE,
) -> int:
    """Ask the running service about everybody who fell silent: nothing happens that would make a backend ask.

    Silent is, by the raw log, who did nothing for a while that product.yaml counts as activity (`label`). Who is not to be tracked
    (`collection`) is left out: nobody can say whether they are silent. The decisions count like all others: what is to be sent is in the
    outbox. A sweep that was ended and is begun again within its hour (`--every`: its period; or with the same `--due`) decides about
    nobody twice. The exit code is 1 where somebody has no decision.

    Example: `stillhere sweep --silent-for 7d --every 1d`
    """
    plan = plan_of(whom, when, how, now=_now())
    settings = place.existing()
    look = _look(settings, plan, may_start_redis=dry_run)
    if dry_run:
        return _say_how_many(look, plan.due, json=json)
    url = (how.url or _served(settings)).rstrip("/")
    product = _product(settings).name
    with client_of(url) as client:
        if plan.every is not None:
            return _go_on(look, _due_times(plan.every), plan, client, check=lambda: await_product(url, product), json=json)
        require_product(url, product)
        return _once(look, plan.due, plan, client, json=json)


def _now() -> datetime:
    return datetime.now(UTC)


def _look(settings: Settings, plan: Plan, *, may_start_redis: bool) -> Look:
    import threading

    edges = {"silent_for": plan.silent_for, "silent_until": plan.silent_until}
    return looking(settings, **edges, may_start_redis=may_start_redis, wait=threading.Event().wait)


def _product(settings: Settings) -> Product:
    from features.declarations.product_file import load_product

    return load_product(settings.product_folder)


def _say_how_many(look: Look, due: datetime, *, json: bool) -> int:
    import orjson

    found = look(due)
    counts = {"silent": len(found.user_ids), **({} if found.n_untracked is None else {"untracked": found.n_untracked})}
    if json:
        print_json(orjson.dumps({"due": due.isoformat(), **counts}).decode())
    else:
        say("\n".join([f"{_head(due, counts['silent'])} would be asked about", *_left_out(found.n_untracked)]) + "\n")
    return 0


def _once(look: Look, due: datetime, plan: Plan, client: Client, *, json: bool) -> int:
    """Make one sweep and tell of it."""
    import threading

    from serving.cli.steps import Steps
    from serving.sweep import Pace
    from serving.sweep import sweep as sweep_once

    found = look(due)
    pace = Pace(per_second=plan.per_second, wait=threading.Event().wait)
    with Steps().step(f"asking about {len(found.user_ids):,} silent users") as bar, _said_if_ended(due, bar) as progress:
        report = sweep_once(found.user_ids, due=due, service=client, pace=pace, progress=progress)
    report.n_untracked = found.n_untracked
    if json:
        print_json(as_json(report))
    else:
        say(as_text(report))
    sys.stdout.flush()  # the next sweep may be a day off
    return 0 if report.n_decided == report.n_silent else 1


@contextmanager
def _said_if_ended(due: datetime, bar: Share) -> Iterator[Share]:
    """Say how far a sweep was when it was ended; yields what it tells that to, for the bar as well."""
    done, silent = 0, 0

    def progress(asked: int, of: int) -> None:
        nonlocal done, silent
        done, silent = asked, of
        bar(asked, of)

    try:
        yield progress
    except KeyboardInterrupt:
        warn(f"the sweep was ended, {_asked(done, silent)}; it goes on where it was with --due {due:%Y-%m-%dT%H:%M:%SZ} (for 24 hours)")
        raise


def _asked(done: int, silent: int) -> str:
    return f"{done:,} of {silent:,} were asked about" if silent else "nobody was asked about"


def _go_on(look: Look, dues: Iterable[datetime], plan: Plan, client: Client, *, check: Callable[[], None], json: bool) -> int:
    """Make one sweep after the other until Ctrl-C; what goes wrong with one is said, and the next comes all the same.

    Only a service of another product ends it: asked again and again it would stay one.
    """
    from features.ports import StoreError
    from serving.cli.processes import ProcessError

    for due in dues:
        try:
            check()
            _once(look, due, plan, client, json=json)
        except (StoreError, ProcessError) as exc:
            warn(f"the sweep of {minute(due)} could not be made: {exc}")
    return 0


def _due_times(every: timedelta) -> Iterator[datetime]:
    import threading

    from serving.sweep import due_times

    return due_times(every, clock=_now, wait=threading.Event().wait)


def _served(settings: Settings) -> str:
    from serving.adapters.run_file import read_run_file

    running = read_run_file(settings.home.run_file)
    if running is None or running.api_url is None:
        raise BadInputError(
            f"no service runs on {settings.home.root}: expected one to ask; start it with `stillhere serve`, or name another with --url"
        )
    return running.api_url


def client_of(url: str, *, wait: Callable[[float], Any] | None = None, transport: httpx.BaseTransport | None = None) -> Client:
    """Make the client that a sweep asks by: it bears with a service that starts again, and waits no longer than is known here.

    Parameters
    ----------
    wait
        Waits so many seconds; None: on the clock.
    """
    import threading

    from serving.client import Client

    wait = wait or threading.Event().wait

    def sleep(seconds: float) -> None:
        wait(min(seconds, _LONGEST_WAIT_S))  # doubled from try to try, or what a `Retry-After` says

    return Client(url=url, timeout_s=_TIMEOUT_S, tries=_TRIES, wait_s=_FIRST_WAIT_S, sleep=sleep, transport=transport)


def as_json(report: SweepReport) -> str:
    """Everything, as one line of JSON."""
    import orjson

    return orjson.dumps(report.to_json()).decode() + "\n"


def as_text(report: SweepReport) -> str:
    """Counts by action and reason, then what went wrong."""
    lines = [f"{_head(report.due, report.n_silent)}, {report.n_decided:,} decided about"]
    lines += [f"  {count:>8,}  {action:<6}  {reason}" for (action, reason), count in report.decided.most_common()]
    lines += [f"  {count:>8,}  error   {code}" for code, count in report.errors.most_common()]
    lines += [f"  e.g. {fault}" for fault in report.faults]
    lines += _left_out(report.n_untracked)
    if report.n_left:
        lines.append(f"  {report.n_left:,} were not asked about: the service gave no answer for long; run it again when it does")
    return "\n".join(lines) + "\n"


def _left_out(n_untracked: int | None) -> list[str]:
    return [f"  {n_untracked:,} left out: they are not tracked, so nobody can say whether they are silent"] if n_untracked else []


def _head(due: datetime, silent: int) -> str:
    return f"due {minute(due)}: {silent:,} silent"
