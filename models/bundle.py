"""A bundle: everything serving needs of one trained model, in one folder whose every file is hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from features.core.product import Product
from models.attribution import BASE, by_cause
from models.calibration import Calibration, shift_odds
from models.cause_stability import CauseStability
from models.errors import CorruptBundleError, ModelError
from models.levels import CohortLevels
from models.risk import RiskModel
from models.segments import SegmentModel
from models.signature import Signature
from models.timing.benefit import Curve, Slot, When, benefit_curve
from models.timing.hazard import Asked
from models.timing.part import TimingModel

FloatArray = npt.NDArray[np.float64]

FORMAT = 1
MANIFEST = "manifest.json"
REGISTRATION = "registration.json"
"""Written beside the bundle by whoever fetched it from the registry: ``{"version": "onboarding/3"}``; not part of the bundle."""
_FILES = ("model.txt", "calibration.json", "signature.json", "causes.json")
_SEGMENTS = "segments.json"
"""Only where training learned segments; bundles older than these have none."""
_LEVELS = "levels.json"
"""Only where the product declares cohorts, and levels of their own were better; see ``models.levels``."""
_CAUSE_STABILITY = "cause_stability.json"
"""Only where training measured it; without it the top cause of everyone is named."""
_TIMING = "timing.json"
"""Only where timing was learned; see ``models.timing``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleContent:
    """What training hands over."""

    product: str
    model_text: str  # LightGBM's text format
    signature: Signature
    calibration: Calibration
    causes: Mapping[str, str]  # cause of every model input, features and attributes alike
    segments: SegmentModel | None = None
    cause_stability: CauseStability | None = None
    timing: TimingModel | None = None
    levels: CohortLevels | None = None
    about: Mapping[str, Any] = field(default_factory=dict)  # for people: horizon, spans, run id


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A loaded, verified model; implements ``serving.ports.Scorer``."""

    version: str  # registry version, "onboarding/3"; "<product>/<hash>" when it was never registered
    signature: Signature
    calibration: Calibration
    causes: tuple[str, ...]  # of each input, in row order
    model: RiskModel
    about: Mapping[str, Any]
    segment_model: SegmentModel | None = None
    cause_stability: CauseStability | None = None
    timing: TimingModel | None = None
    levels: CohortLevels | None = None
    columns: tuple[int, ...] | None = None  # of the model's features in the vectors it is given; None: all, in the model's order

    @property
    def feature_fingerprint(self) -> str:
        """Fingerprint of the features the model was trained on."""
        return self.signature.feature_fingerprint

    @property
    def min_cause_lead(self) -> float:
        """Log-odds by which the top cause must lead to be named, unless it is in `min_cause_leads`; 0 where stability was not measured."""
        return 0.0 if self.cause_stability is None else self.cause_stability.min_lead

    @property
    def min_cause_leads(self) -> Mapping[str, float]:
        """The same by cause, where each was measured by itself."""
        return {} if self.cause_stability is None else self.cause_stability.min_lead_by_cause

    def risk(self, vectors: FloatArray, profiles: Sequence[Mapping[str, object]]) -> FloatArray:
        """Calibrated P(dropout within the horizon) at the level of the cohort, shape (n_users,); vectors: (n_users, n_features)."""
        risk = self.calibration.apply(self.raw_scores(vectors, profiles))
        return risk if self.levels is None else shift_odds(risk, self.levels.of(profiles))

    def raw_scores(self, vectors: FloatArray, profiles: Sequence[Mapping[str, object]]) -> FloatArray:
        """Log-odds before calibration, shape (n_users,): what the contributions sum to."""
        return self.model.raw_scores(self.signature.encode(self._own(vectors), profiles))

    def segments(self, vectors: FloatArray) -> list[str] | None:
        """Learned segment of each user, by its stable id, for vectors of shape (n_users, n_features); None where none were learned."""
        return None if self.segment_model is None else self.segment_model.assign(self._own(vectors))

    def timing_curve(
        self, vector: FloatArray, profile: Mapping[str, object], *, when: When, delays_s: Sequence[float], names: Sequence[str]
    ) -> Curve | None:
        """What acting after each delay, the first of which is 0, is expected to bring; None where no timing was learned.

        Every slot counts as allowed here: gains are over acting now. ``names``: what the trial may call that which would be sent, the best
        name first; where it has an action of none of them, the curve is without effects.
        """
        timing = self.timing
        if timing is None:
            return None
        habit = timing.receptivity.of_instants(when.activity_us, as_of_us=when.as_of_us, utc_offset_s=when.utc_offset_s)
        asked = Asked(
            encoded=self.signature.encode(self._own(np.asarray(vector, dtype=np.float64).reshape(1, -1)), [profile]),
            as_of_us=np.array([when.as_of_us]),
            utc_offset_s=np.array([when.utc_offset_s]),
            habit=habit[np.newaxis],
        )
        action = None if timing.response is None else timing.response.code_of(names)
        return benefit_curve(timing, asked, [Slot(delay_s=delay_s) for delay_s in delays_s], action=action)

    def contributions(self, vector: FloatArray, profile: Mapping[str, object]) -> dict[str, float]:
        """TreeSHAP log-odds by cause for one user, vector of shape (n_features,); with ``"base"``, the sum is the raw score.

        Calibration is monotone, so a cause that raises the raw score raises the risk; the sizes are those of the raw score.
        """
        row = self.signature.encode(self._own(np.asarray(vector, dtype=np.float64).reshape(1, -1)), [profile])[0]
        return by_cause(self.model.contributions(row), self.causes)

    def _own(self, vectors: FloatArray) -> FloatArray:
        """The model's features of vectors of a product that may have gained others since."""
        return vectors if self.columns is None else vectors[:, self.columns]


def write_bundle(folder: Path, content: BundleContent) -> Path:
    """Write the bundle's files and, last, the manifest with the SHA-256 of each; returns the folder.

    Raises
    ------
    ModelError
        If an input has no cause or a cause is called "base".
    """
    _causes_in_order(content.causes, content.signature)
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "model.txt": content.model_text,
        "calibration.json": _json(content.calibration.to_json()),
        "signature.json": _json(content.signature.to_json()),
        "causes.json": _json(dict(content.causes)),
    }
    if content.segments is not None:
        files[_SEGMENTS] = _json(content.segments.to_json())
    if content.cause_stability is not None:
        files[_CAUSE_STABILITY] = _json(content.cause_stability.to_json())
    if content.timing is not None:
        files[_TIMING] = _json(content.timing.to_json())
    if content.levels is not None:
        files[_LEVELS] = _json(content.levels.to_json())
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    hashes = {name: _sha256(folder / name) for name in files}
    manifest = {"format": FORMAT, "product": content.product, "about": dict(content.about), "files": hashes}
    (folder / MANIFEST).write_text(_json(manifest), encoding="utf-8")
    return folder


def verify_bundle(folder: Path) -> dict[str, Any]:
    """Read the manifest, once every file of the bundle has the hash it names.

    Raises
    ------
    CorruptBundleError
        Naming the file that is missing, changed or not listed.
    """
    manifest = _read_manifest(folder)
    for name in dict.fromkeys((*_FILES, *manifest["files"])):
        expected = manifest["files"].get(name)
        if expected is None:
            raise CorruptBundleError(f"bundle {folder}: {MANIFEST} lists no {name}; fetch the bundle again, or train again")
        if not (folder / name).is_file():
            raise CorruptBundleError(f"bundle {folder}: {name} is missing; fetch the bundle again, or train again")
        got = _sha256(folder / name)
        if got != expected:
            raise CorruptBundleError(
                f"bundle {folder}: {name} has SHA-256 {got[:16]}..., expected {expected[:16]}...; fetch the bundle again, or train again"
            )
    return manifest


def load_bundle(folder: Path, product: Product | None = None) -> Bundle:
    """Load a verified bundle, ready to score.

    Parameters
    ----------
    folder
        Where `write_bundle` wrote it, or a copy.
    product
        The present product; None only where the caller names the columns itself (the MLflow model).

    Raises
    ------
    CorruptBundleError
        If a file is missing or changed.
    SignatureMismatchError
        If the product lacks a feature or attribute that the model was trained on, or defines it otherwise; others it may have gained.
    """
    manifest = verify_bundle(folder)
    signature = Signature.from_json(_read_json(folder / "signature.json"))
    columns = None if product is None else _unless_all(signature.columns_of(product), product)
    return Bundle(
        version=_version(folder, manifest),
        signature=signature,
        calibration=Calibration.from_json(_read_json(folder / "calibration.json")),
        causes=_causes_in_order(_read_json(folder / "causes.json"), signature),
        model=RiskModel((folder / "model.txt").read_text(encoding="utf-8"), len(signature.input_names)),
        about=manifest["about"],
        segment_model=_segment_model(folder, manifest, signature),
        cause_stability=_cause_stability(folder, manifest),
        timing=_timing_model(folder, manifest, signature),
        levels=_cohort_levels(folder, manifest),
        columns=columns,
    )


def _unless_all(columns: tuple[int, ...], product: Product) -> tuple[int, ...] | None:
    """None where the vectors are the model's own as they come: there is nothing to pick."""
    return None if columns == tuple(range(len(product.catalogue.features))) else columns


def _causes_in_order(causes: Mapping[str, str], signature: Signature) -> tuple[str, ...]:
    without = [name for name in signature.input_names if name not in causes]
    if without:
        raise ModelError(f"these model inputs have no cause: {without}; every feature in product.yaml declares one")
    if BASE in causes.values():
        raise ModelError(f"a cause is called {BASE!r}, which names the expected score itself; rename it in product.yaml")
    return tuple(causes[name] for name in signature.input_names)


def _segment_model(folder: Path, manifest: Mapping[str, Any], signature: Signature) -> SegmentModel | None:
    if _SEGMENTS not in manifest["files"]:
        return None
    return SegmentModel.from_json(_read_json(folder / _SEGMENTS), signature.feature_names)


def _cause_stability(folder: Path, manifest: Mapping[str, Any]) -> CauseStability | None:
    if _CAUSE_STABILITY not in manifest["files"]:
        return None
    return CauseStability.from_json(_read_json(folder / _CAUSE_STABILITY))


def _cohort_levels(folder: Path, manifest: Mapping[str, Any]) -> CohortLevels | None:
    if _LEVELS not in manifest["files"]:
        return None
    return CohortLevels.from_json(_read_json(folder / _LEVELS))


def _timing_model(folder: Path, manifest: Mapping[str, Any], signature: Signature) -> TimingModel | None:
    if _TIMING not in manifest["files"]:
        return None
    return TimingModel.from_json(_read_json(folder / _TIMING), len(signature.input_names))


def _version(folder: Path, manifest: Mapping[str, Any]) -> str:
    registration = folder / REGISTRATION
    if registration.is_file():
        return str(_read_json(registration)["version"])
    return f"{manifest['product']}/{_sha256(folder / MANIFEST)[:12]}"


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not (folder / MANIFEST).is_file():
        raise CorruptBundleError(f"bundle {folder}: {MANIFEST} is missing; fetch the bundle again, or train again")
    manifest: dict[str, Any] = _read_json(folder / MANIFEST)
    if manifest.get("format") != FORMAT:
        raise CorruptBundleError(f"bundle {folder}: {MANIFEST} has format {manifest.get('format')!r}, expected {FORMAT}; train again")
    return manifest


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        raise CorruptBundleError(f"bundle {path.parent}: {path.name} is not JSON ({exc}); fetch the bundle again, or train again") from exc


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
