"""What becomes of a newly trained version: champion or challenger, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.aliases import make_champion
from training.gate import Verdict
from training.register import Registration, set_challenger
from training.registry import CHALLENGER, CHAMPION, Champion

Promotion = Literal["auto", "never", "always"]
"""Whether a new version becomes champion: if there is none or it is better; never; in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a version becomes."""

    alias: str  # "champion" or "challenger"
    because: str  # a sentence without its end
    replaces: str | None  # number of the champion it was compared with; None: there was none
    verdict: Verdict | None  # None where there was nobody to compare it with


def standing_of(champion: Champion | None, verdict: Verdict | None, how: Promotion, *, slow: str = "") -> Standing:
    """Decide, touching nothing.

    A champion that cannot be served any more (damaged, or made for features that the product no longer has) gives way to a new version
    under ``auto``; one that merely could not be compared does not.

    Parameters
    ----------
    slow
        What stands against the new version's explanations, also where there is nobody to compare it with; "": nothing.
    """
    promoted, because = _decided(champion, verdict, how, slow)
    replaces = None if champion is None else champion.version.version
    return Standing(alias=CHAMPION if promoted else CHALLENGER, because=because, replaces=replaces, verdict=verdict)


def take_place(registration: Registration, standing: Standing) -> None:
    """Set the alias.

    Raises
    ------
    PromotionRefusedError
        If another version became champion since this one was compared with it.
    """
    if standing.alias == CHAMPION:
        make_champion(registration.name, registration.version, replacing=standing.replaces, because=standing.because)
    else:
        set_challenger(registration)


def _decided(champion: Champion | None, verdict: Verdict | None, how: Promotion, slow: str) -> tuple[bool, str]:
    found = _found(champion, verdict, slow)
    if how == "never":
        return False, f"training was told never to promote ({found[1]})"
    if how == "always":
        return True, f"training was told always to promote ({found[1]})"
    return found


def _found(champion: Champion | None, verdict: Verdict | None, slow: str) -> tuple[bool, str]:
    if slow and verdict is None:
        return False, slow
    if champion is None:
        return True, "there was no champion"
    number = champion.version.version
    if champion.is_broken:
        return True, f"champion version {number} cannot be served any more: {champion.unusable}"
    if verdict is None:
        return False, f"it could not be compared with champion version {number}: {champion.unusable}"
    return verdict.passed, verdict.because
