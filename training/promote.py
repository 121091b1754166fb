"""Make a challenger champion, if it is better: judged on the present log, on rows that neither has learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace

from features.core.product import Product
from features.home import Home
from training.aliases import make_champion, tidy
from training.errors import PromotionRefusedError
from training.explanation_budget import one_row_ms, over_budget
from training.gate import Gate, Verdict
from training.pipeline import Report, say_nothing
from training.registry import CHALLENGER, Champion, Version, champion_of, load_model, require_version
from training.side_by_side import Asked, SideBySide, assess
from training.tracked import tracked_run
from training.tracking import name_run, prepare_tracking


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What ``promote`` found and did."""

    version: Version
    replaces: str | None  # number of the champion before
    promoted: bool
    because: str
    found: SideBySide | None  # None where there was no champion to compare with
    run_id: str
    tracking_uri: str

    @property
    def verdict(self) -> Verdict | None:
        """What the gate found; None where it was not asked."""
        return None if self.found is None else self.found.verdict


def promote_version(
    product: Product, home: Home, asked: Asked | None = None, *, force: str = "", report: Report = say_nothing
) -> Promotion:
    """Judge a version against the champion and make it champion if the gate passes, all in an MLflow run of its own.

    A refusal is a result, not an exception: ``promoted`` is false, and ``because`` says why.

    Parameters
    ----------
    asked
        ``model`` is the version (default: the alias ``challenger``), ``gate`` what it must hold.
    force
        A reason to promote it all the same; recorded with the version.

    Raises
    ------
    UnknownVersionError
        If there is no such version.
    PromotionRefusedError
        If it is champion already, or another version became champion meanwhile.
    TrainingError
        If the log does not let the two be compared.
    models.errors.ModelError
        If the version could not be served.
    """
    asked = asked or Asked(model=CHALLENGER)
    uri = prepare_tracking()
    version = require_version(product.name, asked.model)
    champion = champion_of(product)
    if champion is not None and champion.version.version == version.version:
        tidy(version.name)  # an earlier promotion may have been interrupted right after it took effect
        raise PromotionRefusedError(f"version {version.version} of {version.name} is champion already")
    with tracked_run(product, "promote", product_dir=asked.product_dir, title=f"promote v{version.version}") as run_id:
        found, (promoted, because) = _judged(
            product, home, replace(asked, model=version.version), champion=champion, run_id=run_id, report=report
        )
        if force and not promoted:
            promoted, because = True, f"forced: {force} (the gate: {because})"
        replaces = None if champion is None else champion.version.version
        if promoted:
            make_champion(version.name, version.version, replacing=replaces, because=because)
        _say(promoted=promoted, because=because)
        name_run(f"promote v{version.version} {'done' if promoted else 'refused'}")
    return Promotion(version=version, replaces=replaces, promoted=promoted, because=because, found=found, run_id=run_id, tracking_uri=uri)


def _judged(
    product: Product, home: Home, asked: Asked, *, champion: Champion | None, run_id: str, report: Report
) -> tuple[SideBySide | None, tuple[bool, str]]:
    if champion is None or champion.is_broken:
        bundle = load_model(product, asked.model).bundle  # what cannot be served must not become champion
        slow = over_budget(one_row_ms(bundle.model, len(bundle.causes)), (asked.gate or Gate()).explanation_budget_ms)
        if slow:
            return None, (False, slow)
        because = "there was no champion" if champion is None else f"the champion cannot be served any more: {champion.unusable}"
        return None, (True, because)
    found = assess(product, home, asked, run_id=run_id, report=report)
    if found.verdict is None:
        reason = "" if found.champion is None else found.champion.unusable
        return found, (False, f"it could not be compared with champion version {champion.version.version}: {reason}")
    return found, (found.verdict.passed, found.verdict.because)


def _say(*, promoted: bool, because: str) -> None:
    import mlflow

    mlflow.set_tags({"stillhere.promoted": "yes" if promoted else "no", "stillhere.because": because})


__all__ = ["Asked", "Gate", "Promotion", "promote_version"]
