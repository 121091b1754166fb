"""``compact``: the raw log's small files of each past day into one."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from serving.cli.options import HERE, Place

_LEAST_MIB = 64


def compact(
    *,
    memory_mib: Annotated[
        int, Parameter(help="About how much memory to use; what does not fit goes to disk meanwhile.", validator=Number(gte=_LEAST_MIB))
    ] = 1024,
    place: Place = HERE,
) -> None:
    """Merge the raw log's small files of each past day into one, every event once.

    Works beside a running service; run it once a night. A reader that has listed the files before may find one gone: let it list again.

    Example: `stillhere compact --product products/onboarding`
    """
    from datetime import UTC, datetime

    from features.declarations.product_file import load_product

    settings = place.existing()
    raw_dir = settings.home.raw_dir(load_product(settings.product_folder).name)

    from features.adapters.compaction import CompactedDay
    from features.adapters.compaction import compact as compact_raw_log
    from serving.cli.steps import Steps

    steps = Steps()

    def say(done: CompactedDay) -> None:
        steps.console.print(f"    {done.day}: {done.parts} parts to 1, {done.rows_before:,} rows to {done.rows_after:,}", soft_wrap=True)

    with steps.step(f"compacting {raw_dir}"):
        days = compact_raw_log(raw_dir, today=datetime.now(UTC).date(), memory_mib=memory_mib, on_day=say)
    removed = sum(done.rows_before - done.rows_after for done in days)
    steps.console.print(f"  {len(days)} days compacted, {removed:,} duplicate rows removed")
