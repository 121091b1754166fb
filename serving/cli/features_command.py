"""``features``: every feature at every (user, as_of) of a table of one's own, from Parquet to Parquet."""

from __future__ import annotations

from pathlib import Path

from serving.cli.faults import BadInputError
from serving.cli.options import HERE, Place


def features(spine: Path, out: Path, /, *, place: Place = HERE) -> None:
    """Compute every feature of the product at the rows of a table, as they were known then.

    Works from the raw log in bounded memory, however long the log is: 100 million events take minutes.

    Example: `stillhere features rows.parquet features/`

    Parameters
    ----------
    spine
        A Parquet file, or a folder of them, with the columns user_id and as_of (a timestamp with a zone).
    out
        A folder to make; it gets Parquet files with user_id, event_timestamp and snapshot_as_of (both as_of), feature_fingerprint, and one
        column for each feature.
    """
    if not spine.exists():
        raise BadInputError(f"{spine}: there is no such file or folder; name a Parquet file with the columns user_id and as_of")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInputError(f"{out}: expected a new or an empty folder, got something that is there; name another")

    from features.backfill.streamed import stream_snapshots
    from features.declarations.product_file import load_product
    from serving.cli.steps import Steps

    settings = place.existing()
    product = load_product(settings.product_folder)
    steps = Steps()
    with steps.step("computing features") as share:
        n_rows = stream_snapshots(settings.home.raw_dir(product.name), product, spine, out, progress=share)
    steps.console.print(f"    {n_rows:,} rows of {len(product.catalogue.features)} features in {out}", soft_wrap=True)
