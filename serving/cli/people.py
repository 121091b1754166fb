"""``receipts`` and ``erase``: all decisions about one person, and the end of everything about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from serving.cli.decide import check_user_id, opened
from serving.cli.faults import BadInputError
from serving.cli.options import HERE, Place
from serving.cli.terminal import cell, say, say_aside

if TYPE_CHECKING:
    from serving.bootstrap import Installation


def receipts(user_id: str, /, *, place: Place = HERE) -> None:
    """List the decisions about a user, under all their ids, oldest first: decision, moment, user, what was done and why.

    Example: `stillhere receipts ada`

    Parameters
    ----------
    user_id
        Any of the user's ids.
    """
    import orjson

    check_user_id(user_id)
    with opened(place) as installation:
        decision_ids = installation.ledger_of_users.decision_ids(installation.identities.ids_of(user_id))
        if not decision_ids:
            say_aside(f"no decision about {user_id} is kept\n")
        for decision_id in decision_ids:
            receipt = installation.ledger.receipt(installation.product.name, decision_id)
            if receipt is not None:  # it may expire meanwhile
                output = orjson.loads(receipt)["output"]
                row = (decision_id, output["as_of"], output["user_id"], output["action"], output["reason"]["code"])
                say("\t".join(map(cell, row)) + "\n")


def erase(
    user_id: str,
    /,
    *,
    yes: Annotated[bool, Parameter(help="Do it; without this, only say what would be erased.", negative=())] = False,
    place: Place = HERE,
) -> None:
    """Erase a person: every id of theirs, their events, profile, contacts, receipts and waiting messages. It cannot be undone.

    Afterwards nothing that arrives about these ids is taken in. Training sets built from now on do not hold them; models that were trained
    before are not changed.

    Example: `stillhere erase ada --yes`

    Parameters
    ----------
    user_id
        Any of the user's ids.
    """
    check_user_id(user_id)
    with opened(place) as installation:
        standing = installation.identities.standing([user_id]).get(user_id)
        why_nothing = "they were erased before." if standing is not None and standing.is_erased else "a typing error in the id?"
        if not yes:
            ids = installation.identities.ids_of(user_id)
            hint = (
                ""
                if len(ids) > 1 or _is_known(installation, user_id)
                else f" (no event, attribute or decision is known: {why_nothing.removesuffix('.')})"
            )
            raise BadInputError(f"this would erase everything about {', '.join(ids)}{hint}, for good; add --yes to do it")
        erased = installation.erasure().erase(user_id)
    if erased.found_anything:
        say(f"erased: {_counted(len(erased.user_ids), 'id')} of one person\n")
    else:
        say(f"nothing was stored under {user_id}: {why_nothing} What arrives under it from now on is refused.\n")


def _is_known(installation: Installation, user_id: str) -> bool:
    """Whether Redis holds anything about the user; the files are not searched for it."""
    (timeline,) = installation.timelines.read([user_id])
    (profile,) = installation.profiles.read([user_id])
    return bool(timeline.packed or profile or installation.ledger_of_users.decision_ids([user_id]))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
