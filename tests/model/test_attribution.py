"""R15: what is said to have raised a risk adds up to it, is what TreeSHAP says, and picks the message by itself."""

from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import Aggregation
from models.bundle import load_bundle
from serving.decision.decide import decide
from tests.serving_world import golden_inputs, golden_policy
from tests.small_model import DAY_S, write_small_bundle

TOLERANCE = 1e-9
CAUSES = ("login_friction", "skipped_setup", "silence", "tenure")
sizes = pytest.mark.parametrize("n_rows", [1_000, pytest.param(10_000, marks=pytest.mark.faults)])


@pytest.fixture(scope="module")
def folder(onboarding, tmp_path_factory):
    return write_small_bundle(onboarding, tmp_path_factory.mktemp("bundle"))


def rows_of(product, n_rows):
    """Vectors of every kind, with undefined numbers where the kernel gives some."""
    rng = np.random.default_rng(15)
    features = product.catalogue.features
    rows = rng.poisson(3.0, size=(n_rows, len(features))).astype(float)
    seconds = [place for place, feature in enumerate(features) if feature.aggregation is Aggregation.SECONDS_SINCE_LAST]
    rows[:, seconds] = rng.exponential(4 * DAY_S, size=(n_rows, len(seconds)))
    rows[rng.random(rows.shape) < 0.05] = np.nan
    return rows


@sizes
def test_r15_causes_and_base_sum_to_the_raw_score_of_every_row(onboarding, folder, n_rows):
    bundle, rows = load_bundle(folder, onboarding), rows_of(onboarding, n_rows)
    raw = bundle.raw_scores(rows, [{}] * n_rows)
    sums = np.array([sum(bundle.contributions(row, {}).values()) for row in rows])
    assert np.ptp(raw) > 1.0
    np.testing.assert_allclose(sums, raw, rtol=0, atol=TOLERANCE)


@sizes
def test_r15_what_serving_attributes_is_what_treeshap_does(onboarding, folder, n_rows):
    shap = pytest.importorskip("shap")
    bundle, rows = load_bundle(folder, onboarding), rows_of(onboarding, n_rows)
    explanation = shap.TreeExplainer(lightgbm.Booster(model_file=str(folder / "model.txt")))(rows)
    served = np.array([bundle.model.contributions(row) for row in rows])
    np.testing.assert_allclose(served[:, :-1], explanation.values, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(served[:, -1], explanation.base_values, rtol=0, atol=TOLERANCE)


contributions = st.dictionaries(st.sampled_from(CAUSES), st.floats(-2, 2), min_size=1)


@given(contributions=contributions, order=st.randoms(use_true_random=False), user=st.integers(0, 9), entropy=st.integers(0, 9))
def test_r15_the_message_follows_from_causes_and_policy_alone(contributions, order, user, entropy):
    """Neither who it is, nor under which id, nor in which order the causes came, makes another message of it."""
    policy = golden_policy()
    first = decide(golden_inputs(contributions=contributions), policy)
    shuffled = sorted(contributions.items(), key=lambda _: order.random())
    inputs = replace(golden_inputs(contributions=dict(shuffled)), user_id=f"user-{user}", decision_id=f"d{entropy}")
    again = decide(inputs, policy)
    assert (again.message_id, again.cause, again.contribution) == (first.message_id, first.cause, first.contribution)


@given(contributions=contributions)
def test_r15_the_strongest_cause_that_can_be_acted_on_picks_the_message(contributions):
    """Said again without the code that chooses: of the causes that have a remedy, the one that adds most, if it adds enough."""
    policy = golden_policy()
    decision = decide(golden_inputs(contributions=contributions), policy)
    remedies = {cause: message for message in reversed(policy.messages) if message.channel == "email" for cause in message.causes}
    enough = [
        (value, cause)
        for cause, value in contributions.items()
        if cause in policy.actionable_causes and cause in remedies and value > 0 and value >= policy.min_contribution
    ]
    best = max((value for value, _ in enough), default=None)
    named = {cause for value, cause in enough if value == best} or {None}
    assert decision.cause in named
    assert decision.message_id in ({remedies[cause].id for cause in named} if best is not None else {"checking_in"})
