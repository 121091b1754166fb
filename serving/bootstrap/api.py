"""The public app over an installation, ready for its first request."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.bootstrap.following import follow, warm_scorer
from serving.bootstrap.installation import Installation, installation, now_us, required_redis_url, settings_from_environment

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from serving.api.metrics import Metrics
    from serving.ports import Scorer
    from serving.use_case import CurrentDecider, DecisionService

_MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"  # set by BentoML for its workers
_FEASTS_MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROCESS_DIR"
_LONGEST_FAULT = 300  # characters of it in an answer; the log has it whole


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningApi:
    """The app over an open installation."""

    app: ASGIApp
    close: Callable[[], None]


def refuse_what_cannot_serve() -> None:
    """Look, before any process is started, at what would keep every one of them from serving.

    A server that starts processes again and again would keep its port open meanwhile, and answer nobody.

    Raises
    ------
    SettingsError, DeclarationError, StoreError
        As `start_api` would.
    """
    opened = _opened()
    _ = opened.policy  # and with it the product
    opened.close()


def start_api() -> RunningApi:
    """Build the public app, everything loaded; for the service.

    Where the feature kernel was never compiled on this machine, the app says so to whoever asks until it is.

    Raises
    ------
    SettingsError, DeclarationError, StoreError
        If it could never serve, a Redis that may lose caps included. A Redis that is away for the moment is not such a case.
    """
    # Feast keeps its own metrics in a directory that it makes, and leaves behind, unless this names one.
    if _MULTIPROCESS_DIR in os.environ:
        os.environ.setdefault(_FEASTS_MULTIPROCESS_DIR, os.environ[_MULTIPROCESS_DIR])
    opened = _opened()

    def run() -> RunningApi:
        return run_api(opened, shared_by_processes=_MULTIPROCESS_DIR in os.environ)

    return run() if _is_compiled() else _compile_first(run)


def _opened() -> Installation:
    """Open the installation of the environment over a Redis that may be away but is not one that forgets."""
    settings = settings_from_environment()
    opened = installation(settings, required_redis_url(settings), timeout_s=settings.redis_timeout_s)
    opened.refuse_forgetful_redis()
    return opened


def _is_compiled() -> bool:
    from features.core.first_use import is_compiled

    return is_compiled()


def _compile_first(run: Callable[[], RunningApi]) -> RunningApi:
    from serving.api.compiling import CompilingFirst

    app = CompilingFirst(run)
    app.start()
    return RunningApi(app=app, close=app.close)


def run_api(opened: Installation, *, shared_by_processes: bool = False, registry: Any = None) -> RunningApi:
    """Build the app over an installation, and have it follow policy and model from now on, until it is closed."""
    from serving.api.metrics import Metrics

    metrics = Metrics(registry, shared_by_processes=shared_by_processes)

    def served(service: DecisionService) -> None:
        metrics.serves(service.versions["model"], service.policy.hash)

    following = follow(opened, served=served, failed=metrics.follow_failed)
    app = _app(opened, following.decider, metrics, following.faults)
    following.start()

    def close() -> None:
        following.close()
        opened.close()

    return RunningApi(app=app, close=close)


def service_workers() -> int:
    """Count the processes that the service is to have: what STILLHERE_WORKERS says, else one for each core that it may use.

    Raises
    ------
    SettingsError
        Naming the variable that cannot be used.
    """
    return settings_from_environment().workers or (os.cpu_count() or 1)


def build_api(opened: Installation, *, registry: Any = None) -> FastAPI:
    """Build the public app over an installation, with the policy and the model of now for good."""
    from serving.api.metrics import Metrics
    from serving.use_case import CurrentDecider

    return _app(opened, CurrentDecider(opened.decisions()), Metrics(registry), dict)


def warm_up(opened: Installation) -> None:
    """Compile the kernel and load the model before the first decision waits for them."""
    _use_once(opened)
    if opened.scorer is not None:
        warm_scorer(opened, opened.scorer)


def _use_once(opened: Installation) -> None:
    from features.core.event import from_us
    from features.core.first_use import use_once

    use_once(opened.program, from_us(now_us()))


def _app(opened: Installation, decider: CurrentDecider, metrics: Metrics, faults: Callable[[], dict[str, str]]) -> FastAPI:
    from serving.adapters.idempotency import RedisIdempotencyKeys
    from serving.api.app import build_app
    from serving.api.context import ApiContext
    from serving.identity import FollowingDeliveries, foreseen_rejections

    settings, product = opened.settings, opened.product
    _use_once(opened)
    return build_app(
        ApiContext(
            product=product,
            decider=decider,
            stream=opened.stream,
            foreseen=lambda items: foreseen_rejections(opened.identities, items),
            deliveries=FollowingDeliveries(
                ledger=opened.ledger, inner=opened.ledger, contact_book=opened.ledger, identities=opened.identities
            ),
            idempotency_keys=RedisIdempotencyKeys(client=opened.client),
            receipt=lambda decision_id: opened.ledger.receipt(product.name, decision_id),
            metrics=metrics,
            now_us=now_us,
            checks=lambda: {"redis": _redis(opened), **_served(decider.service.scorer, faults())},
            max_body_bytes=settings.max_body_bytes,
            threads=settings.threads,
            wait_s=settings.wait_s,
            empty_route=settings.empty_route,
        )
    )


def _redis(opened: Installation) -> str:
    from features.adapters.durability import durability_problems, write_problem
    from features.ports import StoreError

    try:
        problems, refusal = durability_problems(opened.client), write_problem(opened.client)
    except StoreError as exc:
        return f"unreachable ({type(exc.__cause__).__name__})"
    if problems:
        return f"not durable: {', '.join(problems)}"
    return "ok" if refusal is None else f"refusing writes: {refusal}"


def _served(scorer: Scorer | None, faults: dict[str, str]) -> dict[str, str]:
    """State of model and policy; a registry that does not answer is a fault of the model."""
    from serving.api.health import KEPT, MISSING, OK

    why = {"model": faults.get("model") or faults.get("registry"), "policy": faults.get("policy")}
    states = {what: OK if fault is None else f"{KEPT}{fault[:_LONGEST_FAULT]}" for what, fault in why.items()}
    return states if scorer is not None else {**states, "model": MISSING}
