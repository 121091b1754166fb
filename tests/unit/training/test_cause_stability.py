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
    assert bundle.min_cause_leads == stability.min_lead_by_cause
    assert set(bundle.min_cause_leads) == {"friction", "silence"}
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


def test_a_cause_that_refits_do_not_agree_on_is_never_named_however_sure_the_others_are() -> None:
    """One row in twenty has a cause that leads by as much as the other, and that every other refit denies."""
    rng = np.random.default_rng(1)
    doubtful = np.arange(4000) % 20 == 0
    own = np.where(doubtful[:, None], [0.1, 2.0], [2.0, 0.1]) + rng.normal(scale=0.05, size=(4000, 2))
    refits = [own[:, ::-1] if number % 2 else own for number in range(8)]
    refits = [np.where(doubtful[:, None], refit, own) for refit in refits]
    found = stability_of(own, refits, ["sure", "doubtful"], users=np.arange(4000))
    assert found.min_lead < 1.7  # all together agree often enough, down to the least lead that there is
    assert found.min_lead_by_cause["sure"] < 2.0
    assert found.min_lead_by_cause["doubtful"] == NEVER
    assert found.agreement_by_cause["doubtful"] == 0.5
    assert found.stable_share_by_cause == {"sure": 1.0, "doubtful": 0.0}
    assert found.agreement_of_stable == found.agreement_of_stable_by_cause["sure"] == 1.0
    assert CauseStability.from_json(found.to_json()) == found


def test_every_cause_that_is_named_agrees_as_often_as_was_asked_on_other_users() -> None:
    rng = np.random.default_rng(2)
    own = np.abs(rng.normal(size=(8000, 3)))
    refits = [own + rng.normal(scale=[0.1, 0.4, 0.8], size=own.shape) for _ in range(8)]
    found = stability_of(own, refits, ["a", "b", "c"], users=np.arange(8000))
    leads = [found.min_lead_by_cause[name] for name in "abc"]
    assert leads == sorted(leads)
    assert all(share > 0.79 for share in found.agreement_of_stable_by_cause.values())
    assert set(found.agreement_of_stable_by_cause) == set("abc")


def test_a_bundle_from_before_has_one_lead_for_all() -> None:
    content = CauseStability(
        min_lead=0.4, least_agreement=0.8, agreement=0.9, agreement_of_stable=0.9, stable_share=1.0, agreement_by_cause={}, n_refits=8
    ).to_json()
    older = {name: value for name, value in content.items() if not name.endswith("_by_cause") or name == "agreement_by_cause"}
    assert CauseStability.from_json(older).lead_needed("friction") == 0.4
    with pytest.raises(ModelError, match=r"least lead is -1"):
        CauseStability.from_json(content | {"min_lead_by_cause": {"friction": -1.0}})


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
