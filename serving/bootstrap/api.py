"""The public app over an installation, ready for its first request."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.bootstrap.installation import Installation, installation, now_us, required_redis_url, settings_from_environment

if TYPE_CHECKING:
    from fastapi import FastAPI

_MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROC_DIR"  # set by BentoML for its workers
_FEASTS_MULTIPROCESS_DIR = "PROMETHEUS_MULTIPROCESS_DIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningApi:
    """The app over an open installation."""

    app: FastAPI
    close: Callable[[], None]


def start_api() -> RunningApi:
    """Build the public app, everything loaded; for the service.

    Raises
    ------
    SettingsError, DeclarationError, StoreError
        If it could never serve, a Redis that may lose caps included. A Redis that is away for the moment is not such a case.
    """
    # Feast keeps its own metrics in a directory that it makes, and leaves behind, unless this names one.
    if _MULTIPROCESS_DIR in os.environ:
        os.environ.setdefault(_FEASTS_MULTIPROCESS_DIR, os.environ[_MULTIPROCESS_DIR])
    settings = settings_from_environment()
    opened = installation(settings, required_redis_url(settings), timeout_s=settings.redis_timeout_s)
    opened.refuse_forgetful_redis()
    return RunningApi(app=build_api(opened, shared_by_processes=_MULTIPROCESS_DIR in os.environ), close=opened.close)


def service_workers() -> int:
    """Count the processes that the service is to have: what STILLHERE_WORKERS says, else one for each core that it may use.

    Raises
    ------
    SettingsError
        Naming the variable that cannot be used.
    """
    return settings_from_environment().workers or (os.cpu_count() or 1)


def build_api(opened: Installation, *, shared_by_processes: bool = False, registry: Any = None) -> FastAPI:
    """Build the public app over an installation."""
    from serving.adapters.idempotency import RedisIdempotencyKeys
    from serving.api.app import build_app
    from serving.api.context import ApiContext
    from serving.api.metrics import Metrics
    from serving.identity import foreseen_rejections

    settings, product = opened.settings, opened.product
    warm_up(opened)
    return build_app(
        ApiContext(
            product=product,
            decider=opened.decisions(),
            stream=opened.stream,
            foreseen=lambda items: foreseen_rejections(opened.identities, items),
            deliveries=opened.ledger,
            idempotency_keys=RedisIdempotencyKeys(client=opened.client),
            receipt=lambda decision_id: opened.ledger.receipt(product.name, decision_id),
            metrics=Metrics(registry, shared_by_processes=shared_by_processes),
            now_us=now_us,
            checks=lambda: _checks(opened),
            max_body_bytes=settings.max_body_bytes,
            threads=settings.threads,
            empty_route=settings.empty_route,
        )
    )


def warm_up(opened: Installation) -> None:
    """Compile the kernel and load the model before the first request waits for them."""
    import numpy as np

    from features.core.kernel import vector, vectors

    row = vector(b"", now_us(), opened.program)
    vectors([b""], np.array([now_us()], dtype=np.int64), opened.program)
    if opened.scorer is not None:
        opened.scorer.risk(row[np.newaxis], [{}])
        opened.scorer.contributions(row, {})


def _checks(opened: Installation) -> dict[str, str]:
    from features.adapters.embedded_redis import durability_problems
    from features.ports import StoreError

    try:
        problems = durability_problems(opened.client)
        state = f"not durable: {', '.join(problems)}" if problems else "ok"
    except StoreError as exc:
        state = f"unreachable ({type(exc.__cause__).__name__})"
    return {"redis": state, "model": "missing" if opened.scorer is None else "ok"}
