"""``init``: a first product from somebody's own event log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from serving.cli.faults import BadInputError
from serving.cli.terminal import say

if TYPE_CHECKING:
    from features.draft.draft import Draft


def init(  # noqa: PLR0913 - one option for each guess
    file: Path,
    /,
    *,
    user: Annotated[str | None, Parameter(help="Column that names the user.")] = None,
    time: Annotated[str | None, Parameter(help="Column that says when an event happened.")] = None,
    kind: Annotated[
        str | None, Parameter(help="Column that names the kind of event, or the name of the one kind that all rows have.")
    ] = None,
    value: Annotated[str | None, Parameter(help='Column of numbers, or "none".')] = None,
    timezone: Annotated[str | None, Parameter(help="IANA zone of times without an offset. [default: UTC]")] = None,
    name: Annotated[str | None, Parameter(help="Name of the product. [default: from the file's name]")] = None,
    into: Annotated[Path, Parameter(help="Folder of product folders.")] = Path("products"),
) -> None:
    """Look at an event log (CSV, Parquet, JSONL; also .gz) and write a first product.yaml and policy.yaml for it.

    Both work as they are, and say in comments what was guessed and why. Nothing is imported yet, and no file is ever overwritten.

    Example: `stillhere init exports/orders.csv.gz --user customer_id`

    Parameters
    ----------
    file
        The log, one event a row.
    """
    if not file.is_file():
        where = "" if file.is_absolute() else f" in {Path.cwd()}"
        raise BadInputError(f"there is no file {file}{where}; name an event log: CSV, Parquet or JSONL, also .gz")
    from features.draft.columns import Overrides
    from features.draft.draft import draft_product

    said = Overrides(user=user, time=time, kind=kind, value=value, name=name, timezone=timezone)
    draft = draft_product(file, said)
    folder = write(draft, into)
    say(summary(draft, folder, file, now=datetime.now(UTC)))


def write(draft: Draft, into: Path) -> Path:
    """Write both files into a new product folder, and check that they are good.

    Raises
    ------
    BadInputError
        If there is such a product already.
    """
    from features.declarations.product_file import load_product
    from serving.policy_file import load_policy

    folder = into / draft.content.name
    files = {folder / "product.yaml": draft.product_yaml, folder / "policy.yaml": draft.policy_yaml}
    for file in files:
        if file.exists():
            raise BadInputError(f"{file} is there already and is not overwritten; give another --name, or move it away")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    load_policy(folder / "policy.yaml", load_product(folder))
    return folder


def summary(draft: Draft, folder: Path, file: Path, *, now: datetime) -> str:
    """Say what was guessed and what to do next."""
    from features.core.catalogue import window_text

    content = draft.content
    roles, label = content.roles, content.label
    columns = {"user": roles.user, "time": roles.time, "kind": roles.kind, "value": roles.value and roles.value.column}
    columns |= {"subject": roles.subject, "session": roles.session, "event id": roles.event_id}
    read = ", ".join(f"{role} {column}" for role, column in columns.items() if column)
    rate = "unknown" if label.base_rate is None else f"{label.base_rate:.1%} of {label.n_rows:,} rows"
    lines = [
        f"{folder / 'product.yaml'}: {_counted(len(content.kinds), 'kind')}, {sum(entry.size for entry in content.features)} features",
        f"  columns: {read}",
        *([f"  not used: {', '.join(roles.unused)}{_KIND_HINT if roles.kind is None else ''}"] if roles.unused else []),
        f"  dropping out: no {content.activity} for {window_text(label.horizon)}; base rate {rate}",
        *(f"  note: {note}" for note in content.notes),
        "Look it over, then:",
        f"  stillhere import {file} --product {folder}",
        f"  stillhere train --product {folder}{_if_old(label.newest_us, now)}",
    ]
    return "\n".join(lines) + "\n"


_KIND_HINT = " (if one of them names what happened, say so with --kind COLUMN)"


def _if_old(newest_us: int, now: datetime) -> str:
    """Option without which training refuses a log that ended long ago."""
    from features.core.event import from_us

    return " --stale-after-days 0" if now - from_us(newest_us) > _FRESH else ""


_FRESH = timedelta(days=29)
"""A day less than `training.freshness.STALE_AFTER_DAYS`, since training comes later."""


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
