"""A small client of the HTTP interface, for product backends in Python. Needs httpx and nothing else; imports nothing of ours.

Every decision is asked for under an idempotency key, so that trying again after a timeout repeats nothing: the second try gets what the
first one decided.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

import httpx

_TRY_AGAIN = frozenset({502, 503, 504})


class StillhereError(Exception):
    """The service refused a request, or could not be reached; ``code`` is stable (docs/api.md lists them), ``what_to_do`` is for people."""

    def __init__(self, code: str, message: str, *, what_to_do: str = "", status: int | None = None, field: str | None = None) -> None:
        super().__init__(f"{code}: {message}" + (f"; {what_to_do}" if what_to_do else ""))
        self.code = code
        self.message = message
        self.what_to_do = what_to_do
        self.status = status  # None where no answer came
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What to tell the user."""

    id: str
    message_class: Literal["assist", "outreach"]
    channel: str
    title: str
    body: str
    send_at: datetime
    expires_at: datetime | None  # not to be delivered from then on
    content: Mapping[str, str] = field(default_factory=dict, hash=False)  # further texts, by name; an empty one: none for this user
    blocks: Mapping[str, Mapping[str, bool | int | str]] = field(default_factory=dict, hash=False)  # to be fetched when it is sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided about one user; ``raw`` has everything."""

    decision_id: str
    user_id: str
    action: Literal["send", "stage", "defer", "none"]
    reason: str  # code
    sentence: str
    risk: float | None
    message: Message | None  # of "send" and "stage"
    ask_again_at: datetime | None
    degraded: tuple[str, ...]
    raw: Mapping[str, Any]

    @property
    def is_sent(self) -> bool:
        """Whether the message is to be delivered, and its delivery to be told."""
        return self.action == "send"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of the items of a request."""

    accepted: int
    rejected: tuple[Mapping[str, Any], ...]  # index, code, field and message of each that was refused; sending it again does not help


@dataclass(slots=True, kw_only=True)
class Client:
    """Talks to one service.

    Parameters
    ----------
    url
        Where it listens, "http://localhost:3000".
    timeout_s
        Of one try. The service answers decisions within its own deadline; a second leaves room for the network.
    tries
        How often in all; only what is safe to repeat is repeated: all of it is, by event ids and idempotency keys.
    wait_s
        Before the second try; doubled before each further one. A ``Retry-After`` of the service counts instead.
    idle_s
        How long a connection is kept for the next call; 0: each call makes one. The service closes one that was idle for 5 s: a call that
        it crosses on its way is lost, and tried again.

    Examples
    --------
    >>> client = Client(url="http://localhost:3000")
    >>> client.timeout_s
    1.0
    >>> client.close()
    """

    url: str
    timeout_s: float = 1.0
    tries: int = 3
    wait_s: float = 0.1
    idle_s: float = 2.0
    sleep: Callable[[float], None] = time.sleep
    transport: httpx.BaseTransport | None = None
    _http: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        limits = httpx.Limits(keepalive_expiry=self.idle_s)
        self._http = httpx.Client(base_url=self.url, timeout=self.timeout_s, transport=self.transport, limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def send(self, items: Iterable[Mapping[str, Any]]) -> Accepted:
        """Send events, profile changes and aliases (at most 1,000); an item with the same content is the same item, however often sent.

        Raises
        ------
        StillhereError
            If none of them was accepted, or the service could not be reached.
        """
        content = self._post("/v1/events", list(items))
        return Accepted(accepted=content["accepted"], rejected=tuple(content["rejected"]))

    def decide(self, user_id: str, *, idempotency_key: str | None = None) -> Decision:
        """Decide about one user. Give a key of your own to make the same decision again after a crash of yours.

        Raises
        ------
        StillhereError
            ``overloaded`` and others; never for want of a model or of Redis: then the decision says so in ``degraded``.
        """
        return _decision(self._post("/v1/decisions", {"user_id": user_id}, key=idempotency_key or str(uuid.uuid4())))

    def decide_many(self, user_ids: Sequence[str], *, idempotency_key: str | None = None) -> list[Decision | StillhereError]:
        """Decide about up to 500 users; one that cannot be a user's id has its error in its place."""
        body = [{"user_id": user_id} for user_id in user_ids]
        answers = self._post("/v1/decisions", body, key=idempotency_key or str(uuid.uuid4()))
        if not _are_decisions(answers, len(body)):  # of something else that listens there
            raise StillhereError("unexpected_answer", f"the answer is no list of {len(body)} decisions", status=200)
        return [_error(answer, None) if "error" in answer else _decision(answer) for answer in answers]

    def receipt(self, decision_id: str) -> dict[str, Any]:
        """Everything that one decision depended on.

        Raises
        ------
        StillhereError
            ``decision_not_found``.
        """
        receipt: dict[str, Any] = self._again(lambda: self._http.get(f"/v1/decisions/{decision_id}"))
        return receipt

    def delivered(self, decision_id: str, *, at: datetime | None = None) -> str:
        """Tell that a message reached its user; what that changed: "confirmed", "known" or "unknown"."""
        return self._tell({"decision_id": decision_id, "status": "delivered", **({} if at is None else {"at": at.isoformat()})})

    def failed(self, decision_id: str) -> str:
        """Tell that a message did not and will not reach its user: "released", "known" or "unknown"."""
        return self._tell({"decision_id": decision_id, "status": "failed"})

    def _tell(self, news: Mapping[str, Any]) -> str:
        return str(self._post("/v1/deliveries", news)["results"][0]["result"])

    def _post(self, path: str, body: Any, *, key: str | None = None) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._again(lambda: self._http.post(path, json=body, headers=headers))

    def _again(self, ask: Callable[[], httpx.Response]) -> Any:
        """Ask until there is an answer that another try would not change."""
        wait_s = self.wait_s
        for left in reversed(range(self.tries)):
            try:
                answer = ask()
            except httpx.TransportError as exc:
                if not left:
                    what_to_do = "see whether the service runs; the same call again is safe"
                    raise StillhereError("unreachable", f"{self.url}: {exc or type(exc).__name__}", what_to_do=what_to_do) from exc
            else:
                if answer.status_code not in _TRY_AGAIN or not left:
                    return _content(answer)
                wait_s = _retry_after_s(answer) or wait_s
            self.sleep(wait_s)
            wait_s *= 2
        raise ValueError(f"tries: got {self.tries}, expected at least 1")


def _content(answer: httpx.Response) -> Any:
    try:
        content = answer.json()
    except ValueError:
        content = None
    if answer.is_success and content is not None:
        return content
    raise _error(content, answer.status_code)


def _error(content: Any, status: int | None) -> StillhereError:
    error = content.get("error") if isinstance(content, Mapping) else None
    if not isinstance(error, Mapping) or not {"code", "message"} <= error.keys():  # of a proxy before the service
        return StillhereError("unexpected_answer", f"the answer {status} is not one of Stillhere", status=status)
    return StillhereError(error["code"], error["message"], what_to_do=error.get("what_to_do", ""), status=status, field=error.get("field"))


def _are_decisions(answers: Any, n: int) -> bool:
    is_list = isinstance(answers, list) and len(answers) == n
    return is_list and all(isinstance(answer, Mapping) and {"error", "decision_id"} & answer.keys() for answer in answers)


def _retry_after_s(answer: httpx.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def _decision(raw: Mapping[str, Any]) -> Decision:
    return Decision(
        decision_id=raw["decision_id"],
        user_id=raw["user_id"],
        action=raw["action"],
        reason=raw["reason"]["code"],
        sentence=raw["reason"]["sentence"],
        risk=raw["risk"],
        message=_message(raw),
        ask_again_at=_instant(raw["ask_again_at"]),
        degraded=tuple(raw["degraded"]),
        raw=raw,
    )


def _message(raw: Mapping[str, Any]) -> Message | None:
    message, moment = raw["message"], raw["moment"]
    if message is None:
        return None
    return Message(
        id=message["id"],
        message_class=message["class"],
        channel=message["channel"],
        title=message["title"],
        body=message["body"],
        send_at=datetime.fromisoformat(moment["send_at"]),
        expires_at=_instant(moment["expires_at"]),
        content=message.get("content", {}),
        blocks=message.get("blocks", {}),
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
