"""A cause is named where models of other users would name the same."""

from __future__ import annotations

import numpy as np
import pytest

from models.bundle import load_bundle, write_bundle
from models.cause_stability import NEVER, CauseStability
from models.errors import ModelError
from tests.unit.training import synthetic
from training.cause_stability import StabilityError, drawn_by_user, least_lead, stability_of, with_cause_stability
from training.dataset import build_frame
from training.fit import FitParameters
from training.frame import USER
from training.pipeline import TrainedModel, train_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> TrainedModel:
    product, home = synthetic.product(), synthetic.home_at(tmp_path_factory.mktemp("world"))
    synthetic.fill(home, product, n_users=300, n_days=60, seed=5)
    model = train_model(build_frame(product, home), parameters=FitParameters(max_rounds=30))
    return with_cause_stability(model, {"friction", "silence"}, n_refits=3)


def test_the_bundle_says_how_far_a_cause_must_lead(trained: TrainedModel, tmp_path) -> None:
    stability = trained.content.cause_stability
    assert stability is not None
    assert 0 < stability.agreement <= 1
    assert stability.min_lead == NEVER or stability.agreement_of_stable > 0.7
    assert set(stability.agreement_by_cause) <= {"friction", "silence"}
    bundle = load_bundle(write_bundle(tmp_path / "bundle", trained.content), synthetic.product())
    assert bundle.min_cause_lead == stability.min_lead
    assert trained.content.about["cause_stability"]["n_refits"] == 3


def test_a_bundle_without_it_names_the_top_cause_of_everyone(trained: TrainedModel, tmp_path) -> None:
    from dataclasses import replace

    folder = write_bundle(tmp_path / "older", replace(trained.content, cause_stability=None))
    assert load_bundle(folder, synthetic.product()).min_cause_lead == 0.0
    assert not (folder / "cause_stability.json").exists()


def test_causes_that_no_message_remedies_are_refused(trained: TrainedModel) -> None:
    with pytest.raises(StabilityError, match=r"no actionable cause: messages remedy \['weather'\]"):
        with_cause_stability(trained, {"weather"}, n_refits=1)


def test_planted_noise_is_told_from_planted_leads() -> None:
    """Leads are known, refits add noise of a known size: rows that lead by much agree, and the lead solved holds on other users."""
    rng = np.random.default_rng(0)
    own = np.abs(rng.normal(size=(4000, 3)))
    refits = [own + rng.normal(scale=0.3, size=own.shape) for _ in range(8)]
    found = stability_of(own, refits, ["a", "b", "c"], users=np.arange(4000))
    assert found.agreement < 0.8
    assert 0 < found.min_lead < 1
    assert 0.79 < found.agreement_of_stable < 0.85
    assert 0 < found.stable_share < 1


def test_where_refits_never_agree_no_cause_is_named() -> None:
    own = np.tile([2.0, 1.0], (50, 1))
    found = stability_of(own, [own[:, ::-1]], ["a", "b"], users=np.arange(50))
    assert (found.min_lead, found.stable_share) == (NEVER, 0.0)
    assert np.isnan(found.agreement_of_stable)
    assert CauseStability.from_json(found.to_json()).min_lead == NEVER


def test_a_handful_of_rows_proves_nothing() -> None:
    assert least_lead(np.arange(10.0), np.ones(10), 0.8) == NEVER


def test_equal_leads_stand_or_fall_together() -> None:
    assert least_lead(np.repeat(1.0, 90), np.repeat([1.0, 0.0], [60, 30]), 0.8) == NEVER
    assert least_lead(np.array([]), np.array([]), 0.8) == NEVER


def test_a_broken_part_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        CauseStability.from_json({"min_lead": 1.0})


def test_a_user_is_drawn_with_all_rows(trained: TrainedModel) -> None:
    frame = trained.slices.train
    drawn = drawn_by_user(frame, seed=1).rows[USER].value_counts()
    assert (drawn % frame.rows[USER].value_counts().reindex(drawn.index) == 0).all()
    assert len(drawn) < frame.rows[USER].nunique()
