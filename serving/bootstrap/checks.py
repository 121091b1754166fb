"""Checking what was decided over an installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from serving.bootstrap.installation import Installation

if TYPE_CHECKING:
    from serving.consistency import ConsistencyReport


def check_consistency(opened: Installation, *, not_after_us: int) -> ConsistencyReport:
    """Compare every receipt up to an instant with the raw log.

    Raises
    ------
    StoreError, LedgerError
        If receipts or timelines cannot be read.
    """
    from features.backfill.columns import read_columns
    from serving.adapters.receipt_files import exported_receipts
    from serving.consistency import Checker

    home, name = opened.settings.home, opened.product.name
    opened.exporter.export()  # so that the newest are there
    raw = read_columns(home.raw_dir(name), opened.product)
    checker = Checker(
        product=opened.product,
        raw=raw,
        stored=lambda user_id, timeline_hash: opened.ledger.timeline(name, user_id, timeline_hash),
        not_after_us=not_after_us,
    )
    for receipts in exported_receipts(home.receipts_dir(name)):
        checker.add(receipts)
    return checker.report()
