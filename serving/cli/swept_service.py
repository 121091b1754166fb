"""Whether the service that a sweep is to ask serves the sweep's product: else receipts about another product's people would come to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from serving.cli.faults import BadInputError
from serving.cli.processes import ProcessError
from serving.cli.terminal import warn as to_stderr

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 5.0
_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0)
"""Before the tries behind the first: two minutes in all, in which a service is started again."""


def require_product(url: str, product: str, *, transport: httpx.BaseTransport | None = None) -> None:
    """Ask the service by its ``/readyz`` which product it serves, before it is asked about anybody.

    Parameters
    ----------
    product
        Its name, as product.yaml says.

    Raises
    ------
    BadInputError
        If it serves another.
    ProcessError
        If it does not answer, is not ready or does not say what it serves.
    """
    served = _served_by(url, transport)
    if served != product:
        raise BadInputError(
            f"the service at {url} serves the product {served}, expected {product} as in the product.yaml of this sweep; "
            "name a service of that product with --url, or the other product with --product and --home"
        )


def await_product(
    url: str,
    product: str,
    *,
    wait: Callable[[float], Any] | None = None,
    warn: Callable[[str], None] | None = None,
    transport: httpx.BaseTransport | None = None,
) -> None:
    """Do the same, and bear with a service that starts again: two minutes, about which a word is said once.

    Parameters
    ----------
    wait
        Waits so many seconds; None: on the clock.
    warn
        Is told why there is a wait; None: says it on stderr.

    Raises
    ------
    BadInputError, ProcessError
        As `require_product`, the latter after the last try.
    """
    import threading

    wait, warn = wait or threading.Event().wait, warn or to_stderr
    for number, wait_s in enumerate(_WAITS_S):
        try:
            return require_product(url, product, transport=transport)
        except ProcessError as exc:
            if not number:
                warn(f"{exc} (trying again for two minutes)")
        wait(wait_s)
    return require_product(url, product, transport=transport)


def _served_by(url: str, transport: httpx.BaseTransport | None) -> str:
    import httpx

    try:
        with httpx.Client(timeout=_TIMEOUT_S, transport=transport) as http:
            answer = http.get(f"{url}/readyz")
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise ProcessError(
            f"nothing answers at {url}: expected a service of ours; start it with `stillhere serve`, or name it with --url"
        ) from exc
    content = _content(answer)
    if isinstance(product := content.get("product"), str):
        return product
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise ProcessError(f"the service at {url} is not ready{_why(content)}: expected one that takes requests; wait, or look at its log")
    raise ProcessError(
        f"{url}/readyz answers {answer.status_code} and names no product: expected a service of this release; correct --url, or upgrade it"
    )


def _content(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _why(content: dict[str, Any]) -> str:
    error = content.get("error")
    return f" ({error['message']})" if isinstance(error, dict) and "message" in error else ""
