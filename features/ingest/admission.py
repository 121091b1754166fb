"""The one place that decides whether a wire event or profile change is acceptable; used by HTTP and by imports.

Every refusal is a `Rejection`: a code, the field and one sentence (what, got, expected). An item is judged alone; it never affects another.
Fields that the wire form does not name are ignored (`features.ingest.ignored` tells which). null counts as missing.

=====================  ============================================================================================
code                   given when
=====================  ============================================================================================
malformed              the item is not a JSON object, or its ``type`` is none of event (the default), identify and alias;
                       in a file: the row cannot be read (quotes, number of fields, JSON, UTF-8)
missing_event_id       no event_id: without one a retry could not be recognised (imports may derive it from the row)
bad_event_id           event_id is not text, is blank, or holds NUL or a lone surrogate
event_id_too_long      event_id has more than 128 characters
missing_user           no user_id
bad_user_id            user_id is not text, is blank, or holds NUL or a lone surrogate
user_id_too_long       user_id has more than 128 characters
missing_kind           no kind
unknown_kind           the product declares no kind of that name
missing_timestamp      no occurred_at
bad_timestamp          occurred_at is not ISO-8601 text (in a file: fits no declared format), or lies before 1970
naive_timestamp        occurred_at has no UTC offset (in a file: and the declaration assumes no time zone)
future_timestamp       occurred_at is more than 5 minutes after received_at
bad_subject            subject missing where the kind has one, given where it has none, not text, blank, with NUL, or
                       longer than 256 characters
bad_value              value missing where the kind has a unit, given where it has none, not an integer (text, true,
                       NaN, 1.5), or beyond 64 bits; a daily count below 0
bad_session_id         session_id is not text, is blank, or holds NUL or a lone surrogate
session_id_too_long    session_id has more than 128 characters
missing_previous_id    an alias item without previous_id
bad_previous_id        previous_id is not text, is blank, or holds NUL or a lone surrogate
previous_id_too_long   previous_id has more than 128 characters
bad_anonymous_id       the anonymous_id of an identify item is not text, is blank, or holds NUL or a lone surrogate
anonymous_id_too_long  anonymous_id has more than 128 characters
alias_cycle            an id is to be attached to itself (also later, when a chain of aliases would lead back to it)
missing_traits         an identify item without a non-empty object ``traits`` (they may be left out beside an anonymous_id)
unknown_attribute      the product's profile declares no attribute of that name
bad_attribute          the trait does not have the attribute's type (category and text: clean text of up to 256
                       characters; number: finite)
bad_label              only in label files: the label is none of the declared values
=====================  ============================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from features.core.ages import canonical_instant
from features.core.alias import Alias
from features.core.catalogue import Kind
from features.core.event import FUTURE_TOLERANCE, Event
from features.core.product import Attribute, AttributeType, Product
from features.ingest.rejection import INT64_MAX, INT64_MIN, MAX_TEXT_CHARS, RefusedError, Rejection, checked_id, is_clean_text, shown

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """Attributes of one user that became known at an instant; attributes not named keep their value.

    ``known_at`` orders changes online and places them in the history: a training row sees what was known at its as_of, and a sender's
    slow clock cannot make a withdrawn consent look older than the consent.
    """

    user_id: str
    attributes: Mapping[str, str | float | bool]
    known_at: datetime  # aware; when it was received
    alias: Alias | None = None  # besides: an anonymous id that turned out to be this user


def admit_item(raw: object, product: Product, received_at: datetime) -> Event | ProfileChange | Alias | Rejection:
    """Admit an item of any wire form, told apart by ``type``: ``"event"`` (the default), ``"identify"`` or ``"alias"``."""
    item_type = raw.get("type") if isinstance(raw, Mapping) else None
    if item_type is None or item_type == "event":
        return admit(raw, product, received_at)
    if item_type == "identify":
        return admit_identify(raw, product, received_at)
    if item_type == "alias":
        return admit_alias(raw, received_at)
    return RefusedError("malformed", "type", got=shown(item_type), expected='"event", "identify" or "alias"').rejection


def admit(raw: object, product: Product, received_at: datetime) -> Event | Rejection:
    """Admit what the event wire form states, or say why it is refused; never raises on bad input.

    Parameters
    ----------
    raw
        ``{"event_id", "user_id", "kind", "occurred_at"}`` and, as the kind declares, ``"subject"`` and ``"value"``; ``"session_id"`` is
        optional. ``occurred_at`` is ISO-8601 text with an offset (readers of files may pass an aware datetime).
    received_at
        Aware; when this item reached us.

    Examples
    --------
    >>> from features.core.catalogue import Catalogue
    >>> from features.core.product import Label, Product
    >>> from datetime import timedelta
    >>> product = Product(name="p", description="", catalogue=Catalogue(kinds=(Kind(name="login"),), features=()), causes=(),
    ...                   label=Label(activity=("login",), horizon=timedelta(days=30)))
    >>> noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    >>> item = {"event_id": "e1", "user_id": "ada", "kind": "login", "occurred_at": "2024-05-01T11:59:58Z"}
    >>> admit(item, product, noon).user_id
    'ada'
    >>> refused = admit(item | {"occurred_at": "2024-05-01T11:59:58"}, product, noon)
    >>> refused.code, refused.field
    ('naive_timestamp', 'occurred_at')
    >>> print(refused.message)
    occurred_at: got '2024-05-01T11:59:58', expected a UTC offset such as 2024-05-01T10:00:00Z
    """
    try:
        return _event(_object(raw), product, received_at)
    except RefusedError as refused:
        return refused.rejection


def admit_identify(raw: object, product: Product, received_at: datetime) -> ProfileChange | Rejection:
    """Admit what ``{"type": "identify", "user_id", "traits", "occurred_at"}`` states, or say why it is refused.

    One wrong trait refuses the whole item. ``occurred_at`` is judged as an event's is, but a change counts from ``received_at`` on. With
    an ``anonymous_id``, that id is attached to the user besides, as by an alias item; ``traits`` may then be left out.

    Where the product asks for consent to collection, a no of a known user counts whatever else is wrong: it is ``taken`` of the rejection.
    Who said no must not be tracked on because their name was blank.
    """
    try:
        item = _object(raw)
        user_id = checked_id(item.get("user_id"), "user_id", name="user")
        _instant(item, received_at)
        alias = None if item.get("anonymous_id") is None else _alias(item, "anonymous_id", received_at)
        attributes = {} if alias is not None and not item.get("traits") else _traits(item.get("traits"), product)
        return ProfileChange(user_id=user_id, attributes=attributes, known_at=received_at, alias=alias)
    except RefusedError as refused:
        return replace(refused.rejection, taken=_no_in(raw, product, received_at))


def _no_in(raw: object, product: Product, received_at: datetime) -> ProfileChange | None:
    """The no to being tracked that an item says, alone; None where it says none, or nobody knows whose it is."""
    traits = raw.get("traits") if isinstance(raw, Mapping) else None
    if product.collection is None or not isinstance(raw, Mapping) or not isinstance(traits, Mapping):
        return None
    attribute = product.collection.attribute
    try:
        user_id = checked_id(raw.get("user_id"), "user_id")
    except RefusedError:
        return None
    return ProfileChange(user_id=user_id, attributes={attribute: False}, known_at=received_at) if traits.get(attribute) is False else None


def admit_alias(raw: object, received_at: datetime) -> Alias | Rejection:
    """Admit what ``{"type": "alias", "previous_id", "user_id", "occurred_at"}`` states, or say why it is refused.

    Whether the previous id is attached to another user already is for the `features.ports.IdentityStore` to say.
    """
    try:
        return _alias(_object(raw), "previous_id", received_at)
    except RefusedError as refused:
        return refused.rejection


def _alias(item: Mapping[str, Any], field: str, received_at: datetime) -> Alias:
    previous_id = checked_id(item.get(field), field)
    user_id = checked_id(item.get("user_id"), "user_id", name="user")
    if previous_id == user_id:
        raise RefusedError("alias_cycle", field, got=shown(previous_id), expected="another id than user_id")
    return Alias(previous_id=previous_id, user_id=user_id, occurred_at=_instant(item, received_at), received_at=received_at)


def _event(item: Mapping[str, Any], product: Product, received_at: datetime) -> Event:
    event_id = checked_id(item.get("event_id"), "event_id")
    user_id = checked_id(item.get("user_id"), "user_id", name="user")
    kind = _kind(item.get("kind"), product)
    session_id = item.get("session_id")
    return Event(
        event_id=event_id,
        user_id=user_id,
        kind=kind.name,
        occurred_at=_instant(item, received_at),
        received_at=received_at,
        subject=_subject(item.get("subject"), kind),
        value=_value(item.get("value"), kind),
        session_id=None if session_id is None else checked_id(session_id, "session_id"),
    )


def _object(raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise RefusedError("malformed", "", got=shown(raw), expected="a JSON object")
    return raw


def _kind(name: object, product: Product) -> Kind:
    for kind in product.catalogue.kinds:
        if kind.name == name:
            return kind
    code = "missing_kind" if name is None else "unknown_kind"
    raise RefusedError(code, "kind", got=shown(name), expected="one of " + ", ".join(kind.name for kind in product.catalogue.kinds))


def _instant(item: Mapping[str, Any], received_at: datetime) -> datetime:
    given = item.get("occurred_at")
    instant = _parsed(given)
    if instant.tzinfo is None:
        expected = "a UTC offset such as 2024-05-01T10:00:00Z"
        raise RefusedError("naive_timestamp", "occurred_at", got=_shown_instant(given), expected=expected)
    if instant < _EPOCH:
        raise RefusedError("bad_timestamp", "occurred_at", got=_shown_instant(given), expected="an instant since 1970-01-01T00:00:00Z")
    if instant - received_at > FUTURE_TOLERANCE:
        expected = f"at most 5 minutes after {received_at.isoformat()}, when it was received"
        raise RefusedError("future_timestamp", "occurred_at", got=_shown_instant(given), expected=expected)
    return instant


def _parsed(given: object) -> datetime:
    if isinstance(given, datetime):
        return given
    code = "missing_timestamp" if given is None else "bad_timestamp"
    try:
        return datetime.fromisoformat(given)  # type: ignore[arg-type]  # what is not text raises, and that is an answer
    except (TypeError, ValueError):
        raise RefusedError(code, "occurred_at", got=shown(given), expected="ISO-8601 text such as 2024-05-01T10:00:00Z") from None


def _shown_instant(given: object) -> str:
    """Show an instant as text, whether it was given as text or already parsed."""
    return repr(given.isoformat()) if isinstance(given, datetime) else shown(given)


def _subject(text: object, kind: Kind) -> str | None:
    if kind.subject is None:
        if text is None:
            return None
        raise RefusedError("bad_subject", "subject", got=shown(text), expected=f"none: kind {kind.name} declares no subject")
    if not is_clean_text(text) or len(str(text)) > MAX_TEXT_CHARS:
        expected = f"the {kind.subject} as text of 1 to {MAX_TEXT_CHARS} characters"
        raise RefusedError("bad_subject", "subject", got=shown(text), expected=expected)
    return str(text)


def _value(given: object, kind: Kind) -> int | None:
    if kind.value_unit is None:
        if given is None:
            return None
        raise RefusedError("bad_value", "value", got=shown(given), expected=f"none: kind {kind.name} declares no value_unit")
    if type(given) is int and INT64_MIN <= given <= INT64_MAX:
        return given
    if isinstance(given, float) and given.is_integer() and INT64_MIN <= given < INT64_MAX:
        return int(given)  # JSON writers turn 3 into 3.0
    raise RefusedError("bad_value", "value", got=shown(given), expected=f"a 64-bit integer in {kind.value_unit}")


def _traits(traits: object, product: Product) -> dict[str, str | float | bool]:
    if not isinstance(traits, Mapping) or not traits:
        raise RefusedError("missing_traits", "traits", got=shown(traits), expected="a non-empty object of attributes and their values")
    declared = {attribute.name: attribute for attribute in product.profile}
    unknown = next((name for name in traits if name not in declared), None)
    if unknown is not None:
        expected = "one of " + ", ".join(declared) if declared else "none: the product declares no profile"
        raise RefusedError(
            "unknown_attribute", f"traits.{shown(unknown)[1:-1]}", got="an attribute that is not declared", expected=expected
        )
    return {name: _trait(value, declared[name]) for name, value in traits.items()}


def _trait(value: Any, attribute: Attribute) -> str | float | bool:
    match attribute.type:
        case AttributeType.BOOLEAN:
            fits, expected = isinstance(value, bool), "true or false"
        case AttributeType.NUMBER:
            fits, expected = _is_finite_number(value), "a finite number"
        case AttributeType.INSTANT:
            instant, expected = canonical_instant(value), "ISO-8601 text with a UTC offset such as 2024-05-01T10:00:00Z"
            fits, value = instant is not None, instant or value
        case _:
            fits = is_clean_text(value) and len(value) <= MAX_TEXT_CHARS
            expected = f"text of 1 to {MAX_TEXT_CHARS} characters"
    if not fits:
        raise RefusedError("bad_attribute", f"traits.{attribute.name}", got=shown(value), expected=expected)
    return float(value) if attribute.type is AttributeType.NUMBER else value


def _is_finite_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return INT64_MIN <= value <= INT64_MAX if isinstance(value, int) else math.isfinite(value)
