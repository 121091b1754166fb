"""One decision in this process beside what it cannot do without: the read, the decoding, the kernel and the model."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from features.core.kernel import vector
from serving import bootstrap
from serving.adapters.redis_ledger import contacts_command, contacts_of
from serving.adapters.redis_pipeline import pipelined
from serving.bootstrap import Installation
from serving.decision.decide import judged
from serving.decision.output import output_json
from serving.use_case import DecisionService
from serving.use_case.knowledge import Reader
from serving.use_case.settle import LedgerOfOneCall, Settlement

ROUNDS = 7


def in_process(opened: Installation, user_ids: Sequence[str]) -> dict[str, float]:
    """Microseconds at the median, of users to whom nothing is sent: least, without receipt, whole; and SHAP of one row, in milliseconds."""
    service = opened.decisions()
    tasks = {"least": _least(opened), "without_receipt": _without_receipt(service), "whole": _whole(service)}
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for each in range(ROUNDS):  # in turn, so that a slow second slows all of them
        for name, task in tasks.items():
            times[name].append(_median_us(task, user_ids[each::ROUNDS]))
    ratios = [one / least for one, least in zip(times["without_receipt"], times["least"], strict=True)]
    figures = {name: statistics.median(values) for name, values in times.items()}
    return {**figures, "ratio": statistics.median(ratios), "contrib_ms": _contrib_ms(opened, service, user_ids)}


def _least(opened: Installation) -> Callable[[str], None]:
    rows, scorer, program, product = opened.people.rows, opened.scorer, opened.program, opened.product.name
    assert scorer is not None  # the state is trained

    def task(user_id: str) -> None:
        contacts = contacts_command(product, user_id, since_us=0)
        *standing, sent, row = pipelined(
            rows.client, [*opened.identities.standing_commands([user_id]), contacts, *rows.commands([user_id])]
        )
        opened.identities.standing_of([user_id], standing)
        contacts_of(sent)
        packed, profile = rows.timeline(row), rows.profile(row)
        scorer.risk(vector(packed, bootstrap.now_us(), program)[np.newaxis], [profile])

    return task


def _without_receipt(service: DecisionService) -> Callable[[str], None]:
    reader = Reader(product=service.product, program=service.program, scorer=service.scorer)
    ledger = LedgerOfOneCall(ledger=service.ledger, product=service.product.name)
    settlement = Settlement(policy=service.policy, reader=reader, ledger=ledger, versions=service.versions, new_id=str)

    def task(user_id: str) -> None:
        now_us = bootstrap.now_us()
        (known,) = reader.read(service.people.read([user_id], since_us=now_us - service.policy.lookback_us), now_us)
        judgement = judged(settlement.inputs(known, "d"), service.policy)
        judgement.needs_explanation()
        output_json(judgement.decision(), service.versions)

    return task


def _whole(service: DecisionService) -> Callable[[str], None]:
    return lambda user_id: service.decide_one(user_id, now_us=bootstrap.now_us()) and None


def _contrib_ms(opened: Installation, service: DecisionService, user_ids: Sequence[str]) -> float:
    reader = Reader(product=service.product, program=service.program, scorer=opened.scorer)
    people = service.people.read(user_ids, since_us=bootstrap.now_us())
    known = {one.user_id: one for one in reader.read(people, bootstrap.now_us())}
    return _median_us(lambda user_id: reader.explain(known[user_id]) and None, list(known)) / 1_000


def _median_us(task: Callable[[str], None], user_ids: Sequence[str]) -> float:
    times = []
    for user_id in user_ids:
        started = time.perf_counter()
        task(user_id)
        times.append(time.perf_counter() - started)
    return 1e6 * statistics.median(times)
