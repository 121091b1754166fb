"""``decide``, ``explain``: one user, one decision. They work beside a running service and without one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from serving.cli.faults import BadInputError
from serving.cli.options import HERE, Place, require_home

if TYPE_CHECKING:
    from serving.bootstrap import Installation

_MAX_ID_CHARS = 128


def decide(
    user_id: str,
    /,
    *,
    json: Annotated[
        bool, Parameter(help="Print the decision as one line of JSON, as when the output is no terminal.", negative=())
    ] = False,
    place: Place = HERE,
) -> None:
    """Decide about one user now. A terminal gets the decision in words, a pipe or a file the decision as one line of JSON.

    The decision counts: it is remembered, and a message that it sends uses up the user's caps.

    Example: `stillhere decide ada`

    Parameters
    ----------
    user_id
        Your id of the user.
    """
    check_user_id(user_id)
    from serving import bootstrap

    with opened(place) as installation:
        installation.refuse_forgetful_redis()
        answer = installation.decisions().decide_one(user_id, now_us=bootstrap.now_us())
    if json or not sys.stdout.isatty():
        print_bytes(answer.output)
    else:
        _print_brief(answer.receipt)


def _print_brief(receipt: bytes) -> None:
    import orjson
    from rich.console import Console

    from serving.cli.brief import brief

    console = Console(highlight=False)
    console.print(brief(receipt))
    decision_id = orjson.loads(receipt)["decision_id"]
    console.print(f"Every verdict in words: stillhere explain {decision_id}. As JSON: --json, or into a pipe.", soft_wrap=True)


def explain(
    decision_or_user: str,
    /,
    *,
    json: Annotated[bool, Parameter(help="Print the receipt as JSON instead of words.", negative=())] = False,
    place: Place = HERE,
) -> None:
    """Say in plain words why a decision was made, and why not another.

    For a decision id, the decision is looked up. For a user, it is said what would be decided now; nothing is sent or remembered.

    Example: `stillhere explain ada`

    Parameters
    ----------
    decision_or_user
        A decision id, or your id of a user.
    """
    from serving.cli.story import print_story
    from serving.decision.ids import tag_of

    with opened(place) as installation:
        is_decision = tag_of(decision_or_user) is not None
        receipt = stored_receipt(installation, decision_or_user) if is_decision else _what_if(installation, decision_or_user)
    if json:
        print_bytes(receipt)
    else:
        print_story(receipt)


@contextmanager
def opened(place: Place, *, makes_home: bool = False) -> Iterator[Installation]:
    """Open the installation over the Redis of a running service, or over one started for this command.

    Raises
    ------
    BadInputError
        If its state directory is not there, and is not made by this command.
    """
    settings = place.checked()
    if not makes_home:
        require_home(settings.home)

    from serving import bootstrap
    from serving.cli.stack import reachable_redis

    with reachable_redis(settings) as redis_url:
        installation = bootstrap.installation(settings, redis_url, asks_registry=False)
        yield installation
        installation.close()


def stored_receipt(installation: Installation, decision_id: str) -> bytes:
    """The receipt in the ledger, or a refusal that says what to give."""
    receipt: bytes | None = installation.ledger.receipt(installation.product.name, decision_id)
    if receipt is None:
        raise BadInputError(
            f"no decision {decision_id!r} of product {installation.product.name} is in {installation.settings.home.root}; "
            "give a decision_id that `stillhere decide` or POST /v1/decisions answered"
        )
    return receipt


def _what_if(installation: Installation, user_id: str) -> bytes:
    """Decide against a ledger that forgets: the user's contacts count, nothing is written."""
    from dataclasses import replace

    from serving import bootstrap
    from serving.cli.forgetful_ledger import ForgetfulLedger

    check_user_id(user_id)
    service = replace(installation.decisions(), ledger=ForgetfulLedger(installation.ledger))
    return service.decide_one(user_id, now_us=bootstrap.now_us()).receipt


def check_user_id(user_id: str) -> None:
    """Refuse what cannot be the id of a user."""
    if not user_id.strip() or len(user_id) > _MAX_ID_CHARS:
        raise BadInputError(f"the user id {user_id[:40]!r} has {len(user_id)} characters, expected 1 to {_MAX_ID_CHARS}, not blank")


def check_decision_id(text: str) -> None:
    """Refuse what cannot be a decision id."""
    from serving.decision.ids import tag_of

    if tag_of(text) is None:
        raise BadInputError(
            f"{text[:60]!r} is not a decision id, expected one such as dfdee430d40bd57de-01kjmma2g00000000000000000; "
            "give a decision_id that `stillhere decide` or POST /v1/decisions answered"
        )


def print_bytes(content: bytes) -> None:
    """Print bytes as they are, and a line's end."""
    sys.stdout.buffer.write(content + b"\n")
    sys.stdout.buffer.flush()
