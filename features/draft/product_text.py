"""product.yaml as text: every guess beside its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from features.core.catalogue import window_text
from features.declarations.log import FileSyntax
from features.draft.horizon import HorizonGuess
from features.draft.plan import CAUSES, PlannedFeatures, PlannedKind, group_name
from features.draft.roles import Roles
from features.draft.times import TimeGuess
from features.draft.yaml_words import comment, durations, flow, scalar

LOG = "events"

OPT_OUT = ("  tracking: {type: boolean, model: false}", "collection: {attribute: tracking, unless_said: kept}")
"""What honours an opt-out: it is drafted as a comment, since every event then costs a look at its person's profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductDraft:
    """Everything that product.yaml is to say."""

    name: str
    file: str  # name of the log file
    n_rows: int
    syntax: FileSyntax
    roles: Roles
    kinds: tuple[PlannedKind, ...]
    features: tuple[PlannedFeatures, ...]
    label: HorizonGuess
    timezone: str
    notes: tuple[str, ...] = ()

    @property
    def activity(self) -> str:
        """What counts as using the product: everything."""
        return group_name(self.kinds) if len(self.kinds) > 1 else self.kinds[0].name


def product_yaml(draft: ProductDraft) -> str:
    """The text of product.yaml."""
    sections = [_head(draft), _kinds(draft), _groups(draft), _causes(draft), _features(draft), _label(draft), _profile(), _log(draft)]
    return "\n".join("\n".join(lines) + "\n" for lines in sections if lines)


def _head(draft: ProductDraft) -> list[str]:
    return [
        *comment(
            f"Drafted by `stillhere init` from {draft.file} ({draft.n_rows:,} rows). It imports and trains as it is; every guess is yours "
            "to correct. Every key is explained in docs/product-file.md."
        ),
        *(line for note in draft.notes for line in comment(f"NOTE: {note}")),
        "version: 1",
        f"name: {draft.name}",
        f"description: {scalar(f'Drafted from {draft.file}.')}",
    ]


def _kinds(draft: ProductDraft) -> list[str]:
    lines = ["kinds:", *comment("keep: how many of its newest events each user's timeline holds; counts end there.", indent=2)]
    for kind in draft.kinds:
        body = [f"keep: {kind.keep}"]
        body += [f"subject: {scalar(kind.subject)}"] if kind.subject else []
        body += [f"value_unit: {scalar(kind.value_unit)}"] if kind.value_unit else []
        lines.append(f"  {kind.name}: {{{', '.join(body)}}} # {kind.n_rows:,} rows; 99 of 100 users have at most {kind.busiest:,}")
    return lines


def _groups(draft: ProductDraft) -> list[str]:
    if len(draft.kinds) == 1:
        return []
    names = ", ".join(kind.name for kind in draft.kinds)
    return [
        *comment("What counts as using the product. Take out what happens to people without their doing (an e-mail sent, a renewal)."),
        "groups:",
        f"  {draft.activity}: [{names}]",
    ]


def _causes(draft: ProductDraft) -> list[str]:
    used = {entry.cause for entry in draft.features}
    lines = [*comment("Groups of features with one remedy; a message of policy.yaml names those that it helps against."), "causes:"]
    for name, (actionable, sentence) in CAUSES.items():
        if name in used:
            lines.append(f"  {name}: {{{'' if actionable else 'actionable: false, '}sentence: {sentence}}}")
    return lines


def _features(draft: ProductDraft) -> list[str]:
    count = sum(entry.size for entry in draft.features)
    lines = [
        *comment(f"A first catalogue of {count} features, in windows around the horizon; docs/product-file.md lists what there is."),
        "features:",
    ]
    for entry in draft.features:
        windows = f", windows: {durations(entry.windows)}" if entry.windows else ""
        lines.append(f"  - {{aggregation: {entry.aggregation.value}, of: {flow(entry.of)}{windows}, cause: {entry.cause}}}")
    return lines


def _label(draft: ProductDraft) -> list[str]:
    guess = draft.label
    spine = guess.spine
    assert spine.active_within is not None
    durations_of = {
        "every": spine.every,
        "start_after": spine.start_after,
        "stop_after": spine.stop_after,
        "active_within": spine.active_within,
    }
    spine_text = ", ".join(f"{key}: {window_text(duration)}" for key, duration in durations_of.items())
    return [
        *comment(f"Dropping out: no {draft.activity} for {window_text(guess.horizon)}. {_why(guess)}"),
        *comment(_base_rate(guess)),
        "label:",
        f"  activity: {draft.activity}",
        f"  horizon: {window_text(guess.horizon)}",
        f"  spine: {{{spine_text}}}",
    ]


def _why(guess: HorizonGuess) -> str:
    span = f"The log spans {guess.span.days:,} days"
    if guess.common_gap is None:
        return f"{span}, and nobody came back on another day: a guess by its length alone."
    common = f"nine of ten gaps between two active days are at most {window_text(guess.common_gap)}"
    if guess.horizon >= guess.common_gap:
        return f"{span}; {common}, so that a longer silence is rare among those who come back."
    return (
        f"{span}; {common}. The horizon is shorter than that: training, calibration and test lie a horizon apart, and this log has no room "
        "for more. With a longer log, raise it."
    )


def _base_rate(guess: HorizonGuess) -> str:
    if guess.base_rate is None:
        return "The log is too short for a single row with a known outcome: declare a shorter horizon, or bring a longer log."
    text = f"Base rate: {guess.base_rate:.1%} of {guess.n_rows:,} rows drop out (users looked at, rows of users active within the horizon)."
    return text if 0.02 < guess.base_rate < 0.98 else f"{text} So few of one kind teach little; try another horizon."  # noqa: PLR2004 - a rule of thumb


def _profile() -> list[str]:
    return [
        *comment(
            "What policy.yaml asks before anything is sent: set them by `identify` events or a profiles log. Without consent nothing is."
        ),
        "profile:",
        "  timezone: {type: text}",
        "  consent: {type: boolean, model: false}",
        "  email_opt_in: {type: boolean, model: false}",
        *comment(
            'To honour who opts out of being tracked, take "# " off the next two lines. With `refused` for `kept`, nothing is kept, nor '
            "imported, of people before they agreed."
        ),
        *(f"# {line}" for line in OPT_OUT),
    ]


def _log(draft: ProductDraft) -> list[str]:
    roles, syntax = draft.roles, draft.syntax
    lines = [
        *comment(f"How `stillhere import {draft.file}` reads the file."),
        *(comment(f"Without a role: {', '.join(roles.unused)}.") if roles.unused else []),
        "logs:",
        f"  {LOG}:",
        "    shape: events",
        f"    format: {syntax.format.value}",
        f"    file: {scalar(draft.file)}",
        *([f"    delimiter: {scalar(syntax.delimiter)}"] if syntax.delimiter != "," else []),
        f"    user_id: {scalar(roles.user)}{_because(roles, 'user_id')}",
        f"    kind: {_kind(draft)}",
        f"    occurred_at: {_time(roles.time, roles.time_format, draft.timezone)}{_because(roles, 'occurred_at')}",
    ]
    if roles.received is not None and roles.received_format is not None:
        lines.append(f"    received_at: {_time(roles.received, roles.received_format, draft.timezone)}{_because(roles, 'received_at')}")
    else:
        lines.append("    received_at: {same_as: occurred_at} # the file does not say when we learned of each event")
    for role, column in (("event_id", roles.event_id), ("subject", roles.subject), ("session_id", roles.session)):
        lines += [f"    {role}: {scalar(column)}{_because(roles, role)}"] if column else []
    return lines + _value(roles)


def _kind(draft: ProductDraft) -> str:
    roles = draft.roles
    if roles.kind is None:
        return f"{{constant: {draft.kinds[0].name}}} # no column names the kind"
    renamed = _renamed(draft.kinds)
    values = f", values: {{{', '.join(f'{scalar(value)}: {name}' for value, name in renamed.items())}}}" if renamed else ""
    return f"{{column: {scalar(roles.kind)}{values}}}{_because(roles, 'kind')}"


def _renamed(kinds: Sequence[PlannedKind]) -> Mapping[str, str]:
    return {value: kind.name for kind in kinds for value in kind.values if value != kind.name}


def _value(roles: Roles) -> list[str]:
    if roles.value is None:
        return []
    if roles.value.multiplier == 1:
        return [f"    value: {scalar(roles.value.column)}{_because(roles, 'value')}"]
    body = f"{{column: {scalar(roles.value.column)}, multiply_by: {roles.value.multiplier}}}"
    return [f"    value: {body}{_because(roles, 'value')}: in {' '.join(roles.value.unit.split())}, so that sums are exact"]


def _time(column: str, guess: TimeGuess, timezone: str) -> str:
    zone = "" if guess.has_offset else f", assume_timezone: {timezone}"
    formats = "" if guess.format == "iso" else f", formats: [{scalar(guess.format)}]"
    return f"{{column: {scalar(column)}{formats}{zone}}}"


def _because(roles: Roles, role: str) -> str:
    reason = roles.reasons.get(role)
    return f" # {reason}" if reason else ""
