"""``policy check`` and ``policy backtest``: what a policy means, and what it would have done, before it goes live."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import cyclopts
from cyclopts import Parameter

from serving.cli.options import HERE, Place
from serving.cli.terminal import print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from serving.bootstrap import Installation
    from serving.policy_backtest import Backtest, Redecided
    from serving.policy_review import Remark
    from training.policy_value import PolicyValue


_MOST_SHOWN = 8


def build() -> cyclopts.App:
    """Put the commands about policies together."""
    app = cyclopts.App(name="policy", help="Look at a policy before it goes live.")
    app.command(check)
    app.command(backtest)
    return app


def check(
    file: Path | None = None,
    /,
    *,
    json: Annotated[bool, Parameter(help="Print findings as JSON.", negative=())] = False,
    place: Place = HERE,
) -> int:
    """Check a policy against its product, and say which rules never speak or get in each other's way.

    What is wrong is refused with file, place and remedy (exit code 2). What is dead or in conflict is listed (exit code 1); notes alone
    leave the exit code 0.

    Looked for are: conditions that cannot hold together, or at all; triggers that another one always precedes, or a guardrail always
    holds back; messages that are never chosen; caps and rate limits beside which others always leave less room, and those of 0; thresholds
    at which everybody or nobody is at risk; prices of slots above what any message is worth; a max_feature_age shorter than a silence that
    a trigger waits for; words on help while something is missing that change nothing; classes of which every channel is switched off; a
    missing holdout and missing exploration. The whole list is in docs/policy-file.md.

    Example: `stillhere policy check products/onboarding/policy.yaml`

    Parameters
    ----------
    file
        The policy. [default: policy.yaml of the product folder]
    """
    from features.declarations.product_file import load_product
    from serving.policy_file import load_policy
    from serving.policy_review import Finding, review_policy

    settings = place.settings()
    path = file or settings.product_folder / "policy.yaml"
    product = load_product(settings.product_folder)
    policy = load_policy(path, product)
    remarks = review_policy(policy, product)
    if json:
        print_json(_remarks_as_json(remarks))
    else:
        say(_remarks_as_text(remarks, path, policy.hash))
    return 1 if any(remark.kind is not Finding.NOTE for remark in remarks) else 0


def backtest(
    file: Path,
    /,
    *,
    json: Annotated[bool, Parameter(help="Print everything as JSON.", negative=())] = False,
    value: Annotated[bool, Parameter(help="Estimate what it would have been worth, from outcomes in the raw log.")] = True,
    place: Place = HERE,
) -> int:
    """Run another policy over past decisions: how many more would be sent, to whom, and what it is worth.

    Every exported receipt is decided again from what was known then, and from the contacts that the other policy would have made so far in
    place of those that were made: its own caps hold. Assumed is that each of its sends is delivered at its moment, and that nobody behaves
    otherwise because of one. What else is assumed, and what it costs, is in docs/policy-file.md.

    Example: `stillhere policy backtest new-policy.yaml`

    Parameters
    ----------
    file
        The other policy.
    """
    from serving.adapters.receipt_files import receipts_in_order
    from serving.cli.decide import opened
    from serving.cli.other_policy import other_policy
    from serving.policy_backtest import backtest_policy
    from serving.replay import Replayer

    with opened(place) as installation:
        other = other_policy(file, installation.product, product_folder=installation.settings.product_folder)
        installation.exporter.export()  # so that the newest are there
        folder = installation.settings.home.receipts_dir(installation.product.name)
        receipts = (receipt for batch in receipts_in_order(folder) for receipt in batch)
        found = backtest_policy(receipts, other, policies=Replayer(archive=installation.archive), for_value=value)
        worth = _worth(found, installation) if value and found.decisions else None
    if json:
        print_json(_as_json(found, worth))
    else:
        say(_as_text(found, worth))
    return 0


def _worth(found: Backtest, installation: Installation) -> PolicyValue:
    from features.backfill.columns import read_columns
    from training.policy_value import policy_value

    product = installation.product
    raw = read_columns(installation.settings.home.raw_dir(product.name), product)
    return policy_value(decisions_frame(found.redecided or ()), raw, product)


def decisions_frame(decisions: Sequence[Redecided]) -> pd.DataFrame:
    """One row a decision, as `training.policy_value.policy_value` takes them."""
    import pandas as pd

    columns = {name: [getattr(one, name) for one in decisions] for name in ("user_id", "arm", "logged")}
    as_of = pd.to_datetime([one.as_of for one in decisions], format="ISO8601", utc=True)  # microseconds only where there are any
    return pd.DataFrame({**columns, "as_of": as_of, "other": [one.chances for one in decisions]})


def _worth_as_text(worth: PolicyValue) -> list[str]:
    if worth.other is None:
        return [f"worth: not estimated: {worth.why_not}"]
    return [
        f"worth: {worth.other} of users stay, {worth.logged} under the policies that decided; gain {worth.gain}",
        f"  from {worth.rows:,} decisions ({worth.effective_rows:,.0f} effective); {worth.unsupported:,} others say nothing of this policy",
        "  what is compared is whether, by which channel and at which moment users are contacted, not the message",
    ]


def _remarks_as_json(remarks: list[Remark]) -> str:
    import orjson

    return orjson.dumps([{"kind": r.kind.value, "path": r.path, "sentence": r.sentence} for r in remarks]).decode() + "\n"


def _remarks_as_text(remarks: list[Remark], path: Path, policy_hash: str) -> str:
    if not remarks:
        return f"{path} ({policy_hash}): nothing to remark\n"
    width = max(len(remark.path) for remark in remarks)
    lines = [f"{path} ({policy_hash}):", *(f"  {r.kind.value:<9} {r.path:<{width}}  {r.sentence}" for r in remarks)]
    return "\n".join(lines) + "\n"


def _as_json(found: Backtest, worth: PolicyValue | None) -> str:
    from dataclasses import asdict

    import orjson

    return orjson.dumps({**found.to_json(), "worth": None if worth is None else asdict(worth)}).decode() + "\n"


def _as_text(found: Backtest, worth: PolicyValue | None) -> str:
    lines = [
        f"{found.decisions:,} decisions about {found.users:,} users, from {found.policies} policies"
        + (f"; {found.unreadable:,} receipts could not be read" if found.unreadable else ""),
        f"sent: {found.sent_before:,} then, {found.sent_after:,} now ({found.sent_after - found.sent_before:+,})",
        f"sent only then: {found.sent_only_before:,}; only now: {found.sent_only_after:,}"
        + (f", {found.by_fallback:,} of them by fallback, since no cause was recorded" if found.by_fallback else ""),
    ]
    for title, counts in found.tables().items():
        if counts:
            lines.append(f"by {title}:")
            lines += [f"  {name:<28} {before:>8,} {after:>8,} {after - before:>+8,}" for name, (before, after) in counts.items()]
    if found.moves:
        lines.append("What would be done instead:")
        lines += [f"  {count:>6,}  {before} -> {after}" for (before, after), count in found.moves.most_common(15)]
    lines += _users_as_text("Newly contacted", found.newly_contacted)
    lines += _users_as_text("No longer contacted", found.no_longer_contacted)
    lines += [] if worth is None else _worth_as_text(worth)
    if worth is not None and found.chances_unknown:
        lines.append(
            f"  {found.chances_unknown:,} are left out: the policy that decided is not in the archive, or these rules would not do the same"
        )
    lines += [f"could not be read: {fault}" for fault in found.faults]
    return "\n".join(lines) + "\n"


def _users_as_text(title: str, users: list[str]) -> list[str]:
    some = ", ".join(users[:_MOST_SHOWN]) + (", ..." if len(users) > _MOST_SHOWN else "")
    return [f"{title}: {len(users):,} {'user' if len(users) == 1 else 'users'}, {some}"] if users else []
