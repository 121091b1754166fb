"""Timing of a small imported world: measured, plotted, kept in a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.backfill.columns import read_columns
from features.core.product import Product
from features.home import Home
from models.bundle import load_bundle, write_bundle
from models.errors import ModelError
from models.timing.part import TimingModel
from tests.unit.training import synthetic
from training.dataset import build_frame, features_join
from training.frame import TrainingFrame
from training.pipeline import train_model
from training.split import split_by_time
from training.timing.fitted import FittedTiming, TimingOptions, fit_timing
from training.timing.hazard_fit import HazardParameters
from training.timing.timing_plots import calibration_at, timing_plots
from training.timing.watch import Watch, watch

PRODUCT: Product = synthetic.product()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = synthetic.home_at(tmp_path_factory.mktemp("world"))
    synthetic.fill(home, PRODUCT, n_users=300, n_days=60, seed=5)
    return home


@pytest.fixture(scope="module")
def frame(home: Home) -> TrainingFrame:
    return build_frame(PRODUCT, home, join=features_join)


@pytest.fixture(scope="module")
def watched(home: Home) -> Watch:
    return watch(read_columns(home.raw_dir(PRODUCT.name), PRODUCT), PRODUCT)


@pytest.fixture(scope="module")
def fitted(frame: TrainingFrame, watched: Watch) -> FittedTiming:
    few = HazardParameters(max_rounds=40, min_data_in_leaf=50)
    return fit_timing(split_by_time(frame), watched, options=TimingOptions(hazard=few, max_rows=1_500))


def test_the_hazard_beats_kaplan_meier_on_later_rows(fitted: FittedTiming) -> None:
    assert fitted.figures["ibs"] < fitted.figures["ibs_kaplan_meier"]


def test_survival_is_calibrated_at_a_horizon(fitted: FittedTiming) -> None:
    predicted, observed = calibration_at(fitted.test, 86_400.0)
    assert np.abs(predicted - observed).mean() < 0.12


def test_without_habits_nothing_is_lost_against_moving_averages(fitted: FittedTiming) -> None:
    # Visits of this world fall on any hour: the population's week is the best there is.
    assert fitted.figures["receptivity_log_likelihood"] >= fitted.figures["ewma_log_likelihood"] - 0.01


def test_a_slice_does_not_see_returns_in_later_slices(frame: TrainingFrame, watched: Watch, fitted: FittedTiming) -> None:
    slices = split_by_time(frame)
    begins_us = int(slices.calibration.as_of_us.min())
    log, hours = watched.returns, watched.hours
    blind = replace(
        watched,
        returns=replace(log, occurred_us=np.where(log.occurred_us > begins_us, begins_us + 1, log.occurred_us)),
        hours=replace(hours, occurred_us=np.where(hours.occurred_us > begins_us, begins_us + 1, hours.occurred_us)),
    )
    few = HazardParameters(max_rounds=40, min_data_in_leaf=50)
    again = fit_timing(slices, blind, options=TimingOptions(hazard=few, max_rows=1_500))
    assert again.model.hazard.model_text == fitted.model.hazard.model_text
    assert again.model.receptivity == fitted.model.receptivity


def test_every_plot_is_drawn(fitted: FittedTiming) -> None:
    assert set(timing_plots(fitted)) == {"timing/curves.png", "timing/survival_calibration.png", "timing/brier.png"}


def test_legends_tell_what_was_seen_from_what_was_forecast(fitted: FittedTiming) -> None:
    curves, brier = (timing_plots(fitted)[f"timing/{name}.png"].axes[0].get_legend() for name in ("curves", "brier"))
    assert curves.get_texts()[-1].get_text() == "observed: Kaplan-Meier\nof the test slice"
    assert brier.get_texts()[-1].get_text() == "Kaplan-Meier of the training slice, by segment"


def test_a_bundle_carries_timing_and_older_ones_do_without(frame: TrainingFrame, fitted: FittedTiming, tmp_path: Path) -> None:
    content = train_model(frame, seed=3).content
    write_bundle(tmp_path / "old", content)
    assert load_bundle(tmp_path / "old", PRODUCT).timing is None
    write_bundle(tmp_path / "new", replace(content, timing=fitted.model))
    timing = load_bundle(tmp_path / "new", PRODUCT).timing
    assert timing is not None
    assert (timing.hazard, timing.receptivity, timing.response) == (fitted.model.hazard, fitted.model.receptivity, None)


def test_timing_of_other_inputs_is_refused(fitted: FittedTiming) -> None:
    with pytest.raises(ModelError, match="train again"):
        TimingModel.from_json(fitted.model.to_json(), 3)
