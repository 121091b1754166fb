"""``replay``: one decision made again, or all of a time or a file, under the policy that decided or under another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from serving.cli.faults import BadInputError
from serving.cli.options import HERE, Place
from serving.cli.terminal import print_json, say, say_aside

if TYPE_CHECKING:
    from serving.bootstrap import Installation
    from serving.decision.policy import Policy
    from serving.replay_many import ReplaySummary

_MOST_MOVES, _MOST_PATHS, _MOST_DIFFERENCES = 20, 12, 8
"""Of what differs, as much as is read; how much more there is, is said."""


@Parameter(name="*")
@dataclass(frozen=True)
class Which:
    """Which receipts, where it is not one decision."""

    file: Annotated[Path | None, Parameter(help="Receipts to replay: exported Parquet, or one JSON receipt a line.")] = None
    since: Annotated[datetime | None, Parameter(help="Exported receipts of decisions from this instant (UTC) on.")] = None
    until: Annotated[datetime | None, Parameter(help="Exported receipts of decisions before this instant (UTC).")] = None
    everything: Annotated[bool, Parameter(name="--all", help="Every exported receipt.", negative=())] = False

    @property
    def are_named(self) -> bool:
        """Whether any of it was given."""
        return self.everything or any(one is not None for one in (self.file, self.since, self.until))


NONE = Which()


def replay(
    decision_id: str | None = None,
    /,
    *,
    which: Which = NONE,
    policy: Annotated[Path | None, Parameter(help="A policy.yaml to decide by instead of the one that decided.")] = None,
    json: Annotated[bool, Parameter(help="Print counts as JSON.", negative=())] = False,
    place: Place = HERE,
) -> int:
    """Make past decisions again from their receipts.

    One decision id prints the decision: the same bytes as before, and on stderr whether decision, score and features came out the
    same. Many receipts (`--file`, `--since`, `--until`, `--all`) print counts and what differs. With `--policy` they say what that
    policy would have done on the contacts that were recorded (`stillhere policy backtest`: on its own); its hash and the order of arms and
    verdicts are then no difference. The exit code is 1 where something differs.

    Example: `stillhere replay --all`

    Parameters
    ----------
    decision_id
        As the decision states it.
    """
    _check(decision_id, which)
    from serving.cli.decide import opened

    with opened(place) as installation:
        other = None if policy is None else _load(policy, installation)
        if decision_id is not None:
            return _replay_one(installation, decision_id, other)
        return _replay_many(installation, _receipts(installation, which), other, json=json)


def _check(decision_id: str | None, which: Which) -> None:
    if which.are_named is (decision_id is not None):
        raise BadInputError("give a decision id, or one of --file, --since, --until and --all; see `stillhere replay --help`")
    if decision_id is not None:
        from serving.cli.decide import check_decision_id

        check_decision_id(decision_id)
    since, until = _utc(which.since), _utc(which.until)
    if since is not None and until is not None and since >= until:
        raise BadInputError(f"--since {since} is not before --until {until}: no decision lies in between; give the earlier one first")
    if which.file is not None and not which.file.is_file():
        raise BadInputError(f"--file {which.file}: there is no such file; name exported Parquet, or a file with one JSON receipt a line")


def _replay_one(installation: Installation, decision_id: str, policy: Policy | None) -> int:
    from serving.cli.decide import print_bytes, stored_receipt
    from serving.use_case.recorded import read_receipt

    recorded, inputs = read_receipt(stored_receipt(installation, decision_id))
    report = installation.replayer(recorded["versions"]["model"]).replay_read(recorded, inputs, policy=policy)
    print_bytes(report.output)
    for name, part in (("decision", report.decision), ("score", report.score), ("features", report.features)):
        detail = f" ({part.detail})" if part.detail else ""
        lines = [f"{name}: {part.outcome.value.replace('_', ' ')}{detail}", *(f"  {difference}" for difference in part.differences)]
        say_aside("\n".join(lines) + "\n")
    return 0 if report.is_same else 1


def _replay_many(installation: Installation, receipts: Iterator[bytes], policy: Policy | None, *, json: bool) -> int:
    import orjson

    from serving.replay_many import replay_all

    summary = replay_all(receipts, installation.replayer, policy=policy)
    if json:
        print_json(orjson.dumps(summary.to_json()).decode())
    else:
        say(as_text(summary))
    return 0 if summary.is_same else 1


def as_text(summary: ReplaySummary) -> str:
    """Counts first, then what differs, then examples."""
    from serving.replay_many import PARTS

    lines = [f"{summary.receipts:,} decisions replayed" + (f", {summary.unreadable:,} could not be" if summary.unreadable else "")]
    for part in PARTS:
        counts, names = summary.outcomes[part], ("same", "different", "not_checked")
        lines.append(f"  {part}: " + ", ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in names))
    if summary.other_rules:
        lines.append(f"Of those that differ, {summary.other_rules:,} were decided by another version of the rules than this release has.")
    if summary.moves:
        moves = summary.moves.most_common()
        told = [f"{count:>6,}  {before} -> {after}" for (before, after), count in moves]
        lines += ["What would be done instead:", *_most(told, _MOST_MOVES)]
    if summary.paths:
        paths = [f"{path} ({count:,})" for path, count in summary.paths.most_common()]
        rest = f" and {len(paths) - _MOST_PATHS:,} more" if len(paths) > _MOST_PATHS else ""
        lines.append("Differs in: " + ", ".join(paths[:_MOST_PATHS]) + rest)
    for example in summary.examples:
        lines += [f"{example.decision_id}, {example.part}:", *_most(example.differences, _MOST_DIFFERENCES)]
    n_differ = sum(counts["different"] for counts in summary.outcomes.values())
    if n_differ > len(summary.examples):
        lines.append(f"and {n_differ - len(summary.examples):,} more that differ; one of them whole: stillhere replay ID")
    return "\n".join([*lines, *(f"could not be replayed: {fault}" for fault in summary.faults)]) + "\n"


def _most(told: Sequence[str], most: int) -> list[str]:
    rest = [f"  and {len(told) - most:,} more"] if len(told) > most else []
    return [*(f"  {one}" for one in told[:most]), *rest]


def _receipts(installation: Installation, which: Which) -> Iterator[bytes]:
    from serving.adapters.receipt_files import exported_receipts, receipts_of_file

    if which.file is None:
        installation.exporter.export()  # so that the newest are there
        home = installation.settings.home
        batches = exported_receipts(home.receipts_dir(installation.product.name))
    else:
        batches = receipts_of_file(which.file)
    since, until = _utc(which.since), _utc(which.until)
    for batch in batches:
        yield from (receipt for receipt in batch if _lies_within(receipt, since, until))


def _lies_within(receipt: bytes, since: datetime | None, until: datetime | None) -> bool:
    """Whether a decision is of that time, or does not say of which it is: what is wrong with it is told by whoever replays it."""
    at = None if since is None and until is None else _as_of(receipt)
    return at is None or ((since is None or since <= at) and (until is None or at < until))


def _as_of(receipt: bytes) -> datetime | None:
    import orjson

    try:
        return _utc(datetime.fromisoformat(orjson.loads(receipt)["output"]["as_of"]))
    except (ValueError, LookupError, TypeError):
        return None


def _utc(instant: datetime | None) -> datetime | None:
    return instant.replace(tzinfo=UTC) if instant is not None and instant.tzinfo is None else instant


def _load(file: Path, installation: Installation) -> Policy:
    from serving.cli.other_policy import other_policy

    return other_policy(file, installation.product, product_folder=installation.settings.product_folder)
