"""A bundle is what training wrote, or it is refused by the name of the bad file."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from features.core.product import Product
from models.bundle import REGISTRATION, BundleContent, load_bundle, verify_bundle, write_bundle
from models.calibration import sigmoid
from models.errors import CorruptBundleError, ModelError, SignatureMismatchError
from models.levels import CohortLevels
from models.segments import LearnedSegment, ScaledInput, SegmentModel

FILES = ("model.txt", "calibration.json", "signature.json", "causes.json")


SEGMENTS = SegmentModel(
    feature_names=tuple(f"count_{kind}_{days}d" for kind in ("login", "click") for days in (1, 7, 30)),
    inputs=(
        ScaledInput(feature="count_click_7d", fill=2.0, is_log=True, offset=1.0, divisor=0.5, weight=1.0),
        ScaledInput(feature="count_login_1d", fill=0.0, is_log=False, offset=0.0, divisor=1.0, weight=0.5),
    ),
    segments=(LearnedSegment(id="s2", name="quiet", centre=(-1.0, 0.0)), LearnedSegment(id="s5", name="busy", centre=(2.0, 1.0))),
    next_number=6,
)


@pytest.fixture
def folder(tmp_path: Path, content: BundleContent) -> Path:
    """A freshly written bundle."""
    return write_bundle(tmp_path / "bundle", content)


def test_a_bundle_scores_as_the_booster_does(folder: Path, product: Product, booster: lightgbm.Booster, rows: np.ndarray) -> None:
    bundle = load_bundle(folder, product)
    profiles = [{"plan": "pro", "seats": 2.0, "invited": True}] * 50
    encoded = rows[:50].copy()
    encoded[:, 6:] = [1.0, 2.0, 1.0]
    expected = booster.predict(encoded, raw_score=True)
    np.testing.assert_array_equal(bundle.raw_scores(rows[:50, :6], profiles), expected)
    np.testing.assert_allclose(bundle.risk(rows[:50, :6], profiles), sigmoid(0.9 * np.asarray(expected) + 0.1), rtol=0, atol=1e-15)


def test_contributions_sum_to_the_raw_score(folder: Path, product: Product, rows: np.ndarray) -> None:
    bundle = load_bundle(folder, product)
    parts = bundle.contributions(rows[0, :6], {"plan": "free"})
    assert set(parts) == {"silence", "shallow", "profile", "base"}
    assert sum(parts.values()) == pytest.approx(bundle.raw_scores(rows[:1, :6], [{"plan": "free"}])[0], abs=1e-9)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_is_refused_by_name(folder: Path, product: Product, name: str) -> None:
    with (folder / name).open("a") as file:
        file.write(" ")
    with pytest.raises(CorruptBundleError, match=f"{name} has SHA-256"):
        load_bundle(folder, product)


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_refused_by_name(folder: Path, product: Product, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CorruptBundleError, match=f"{name} is missing"):
        load_bundle(folder, product)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "not JSON"), ('{"format": 99}', "format 99, expected 1"), ('{"format": 1, "files": {}}', "lists no")],
)
def test_a_bad_manifest_is_refused(folder: Path, text: str, reason: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(CorruptBundleError, match=reason):
        verify_bundle(folder)


def test_another_catalogue_is_refused(folder: Path, product: Product) -> None:
    with pytest.raises(SignatureMismatchError, match=product.catalogue.fingerprint):
        load_bundle(folder, replace(product, catalogue=replace(product.catalogue, features=product.catalogue.features[:-1])))


def test_the_version_is_the_registered_one_where_there_is_one(folder: Path, product: Product) -> None:
    assert load_bundle(folder, product).version.startswith("shop/")
    (folder / REGISTRATION).write_text(json.dumps({"version": "shop/3"}))
    assert load_bundle(folder, product).version == "shop/3"


def test_a_copy_is_the_same_bundle(folder: Path, product: Product, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert load_bundle(copied, product).version == load_bundle(folder, product).version


def test_every_input_needs_a_cause(tmp_path: Path, content: BundleContent) -> None:
    causes = {name: cause for name, cause in content.causes.items() if name != "plan"}
    with pytest.raises(ModelError, match="no cause: \\['plan'\\]"):
        write_bundle(tmp_path / "b", replace(content, causes=causes))


def test_no_cause_is_called_base(tmp_path: Path, content: BundleContent) -> None:
    with pytest.raises(ModelError, match="'base'"):
        write_bundle(tmp_path / "b", replace(content, causes=dict(content.causes) | {"plan": "base"}))


def test_learned_segments_travel_with_the_bundle(tmp_path: Path, content: BundleContent, product: Product) -> None:
    bundle = load_bundle(write_bundle(tmp_path / "bundle", replace(content, segments=SEGMENTS)), product)
    vectors = np.array([[0.0, 0, 0, 0, 0, 0], [5.0, 9, 9, 9, 30, 99], [np.nan] * 6])
    assert bundle.segments(vectors) == ["s2", "s5", "s2"]


def test_a_bundle_without_segments_still_loads(folder: Path, product: Product) -> None:
    bundle = load_bundle(folder, product)
    assert bundle.segments(np.zeros((2, 6))) is None
    assert not (folder / "segments.json").exists()


def test_a_changed_or_missing_segments_file_is_refused_by_name(tmp_path: Path, content: BundleContent, product: Product) -> None:
    folder = write_bundle(tmp_path / "bundle", replace(content, segments=SEGMENTS))
    (folder / "segments.json").write_text("{}")
    with pytest.raises(CorruptBundleError, match=r"segments\.json has SHA-256"):
        load_bundle(folder, product)
    (folder / "segments.json").unlink()
    with pytest.raises(CorruptBundleError, match=r"segments\.json is missing"):
        load_bundle(folder, product)


def test_segments_of_other_features_are_refused(tmp_path: Path, content: BundleContent, product: Product) -> None:
    strange = replace(SEGMENTS, feature_names=("other", *SEGMENTS.feature_names[1:]))
    folder = write_bundle(tmp_path / "bundle", replace(content, segments=strange))
    with pytest.raises(ModelError, match="learned on other features"):
        load_bundle(folder, product)


def test_levels_of_cohorts_shift_the_odds_of_their_users_alone(
    tmp_path: Path, content: BundleContent, product: Product, rows: np.ndarray
) -> None:
    levels = CohortLevels(attribute="course", shifts={"algebra": float(np.log(2.0))}, between_variance=0.2)
    plain = load_bundle(write_bundle(tmp_path / "plain", content), product)
    bundle = load_bundle(write_bundle(tmp_path / "levels", replace(content, levels=levels)), product)
    assert bundle.levels == levels
    profiles = [{"course": "algebra"}, {"course": "geometry"}, {}]
    before, after = (each.risk(rows[:3, :6], profiles) for each in (plain, bundle))
    np.testing.assert_allclose(after / (1 - after) / (before / (1 - before)), [2.0, 1.0, 1.0], rtol=1e-12)


@pytest.mark.parametrize("content_of_file", [{}, {"attribute": "course", "shifts": {"a": None}}, {"attribute": "course", "shifts": {}}])
def test_levels_without_numbers_are_refused(content_of_file: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="train the model again"):
        CohortLevels.from_json(content_of_file)
