"""A message of the event stream, read: the item that it carries, and what that tells about consent."""

from __future__ import annotations

import orjson

from features.core.alias import Alias
from features.core.event import Event, from_us
from features.core.product import Product
from features.ingest.admission import ProfileChange, admit_item
from features.ingest.collection import RefusedEvent, Told, usable_id
from features.ingest.rejection import Rejection

Item = Event | ProfileChange | Alias


def read_message(body: bytes, product: Product) -> Item | Rejection:
    """Read one message; the product may have changed since it was accepted, so that it is judged again.

    Examples
    --------
    >>> from features.core.catalogue import Catalogue, Kind
    >>> from features.core.product import Label
    >>> from datetime import timedelta
    >>> product = Product(name="p", description="", catalogue=Catalogue(kinds=(Kind(name="login"),), features=()), causes=(),
    ...                   label=Label(activity=("login",), horizon=timedelta(days=30)))
    >>> read_message(b"?", product).code
    'malformed'
    """
    try:
        message = orjson.loads(body)
        received_at = from_us(message["received_us"])
        item = message["item"]
    except (orjson.JSONDecodeError, TypeError, KeyError, OverflowError) as exc:
        return Rejection(code="malformed", field="", message=f"the message is not one of ours: {type(exc).__name__}: {exc}")
    return admit_item(item, product, received_at)


def told_by(body: bytes, item: Item | Rejection) -> Told:
    """What a message tells about consent, given what was read of it.

    An event that is refused still tells of somebody's behaviour, and an answer that is refused of the no in it.

    Examples
    --------
    >>> refused = Rejection(code="unknown_kind", field="kind", message="...")
    >>> told_by(b'{"item": {"user_id": "ada", "kind": "gone"}}', refused)
    RefusedEvent(user_id='ada')
    >>> told_by(b'{"item": {"user_id": "ada", "type": "identify"}}', refused) is None
    True
    """
    if not isinstance(item, Rejection):
        return item
    if item.taken is not None:
        return item.taken
    try:
        sent = orjson.loads(body)["item"]
        user_id = None if sent.get("type") in ("identify", "alias") else usable_id(sent["user_id"])
    except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
        return None
    return None if user_id is None else RefusedEvent(user_id=user_id)
