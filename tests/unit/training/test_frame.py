"""The frame shows the model what it may see, and has a fingerprint."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd

from tests.unit.training import synthetic
from training.frame import AS_OF, OUTCOME, PROFILE_CAUSE, USER, TrainingFrame, causes_of, learn_signature, model_attributes


def frame_with_profile() -> TrainingFrame:
    product = synthetic.product()
    rows = pd.DataFrame({USER: ["a", "b"], AS_OF: pd.to_datetime(["2026-01-02", "2026-01-03"], utc=True), OUTCOME: [True, False]})
    for name in product.catalogue.feature_names:
        rows[name] = [1.0, np.nan]
    rows["plan"] = ["pro", None]
    rows["invited"] = [True, None]
    rows["consent"] = [True, True]
    rows["timezone"] = ["UTC", "UTC"]
    return TrainingFrame(product=product, rows=rows, horizon=timedelta(days=5))


def test_text_and_hidden_attributes_are_no_model_inputs() -> None:
    assert [attribute.name for attribute in model_attributes(synthetic.product())] == ["plan", "invited"]
    assert frame_with_profile().profiles() == [{"plan": "pro", "invited": True}, {"plan": None, "invited": None}]


def test_the_signature_learns_categories_from_the_rows() -> None:
    signature = learn_signature(frame_with_profile())
    assert [(a.name, a.categories) for a in signature.attributes] == [("plan", ("pro",)), ("invited", ())]
    assert signature.feature_fingerprint == synthetic.product().catalogue.fingerprint


def test_every_model_input_has_a_cause() -> None:
    frame = frame_with_profile()
    causes = causes_of(frame.product)
    assert set(causes) == set(learn_signature(frame).input_names)
    assert causes["plan"] == PROFILE_CAUSE
    assert causes["count_login_failed_1d"] == "friction"


def test_the_fingerprint_changes_with_any_number() -> None:
    frame, other = frame_with_profile(), frame_with_profile()
    assert frame.fingerprint() == other.fingerprint()
    other.rows.loc[0, "count_login_1d"] = 2.0
    assert frame.fingerprint() != other.fingerprint()


def test_as_of_is_read_at_any_pandas_resolution() -> None:
    frame = frame_with_profile()
    coarse = TrainingFrame(product=frame.product, rows=frame.rows.astype({AS_OF: "datetime64[s, UTC]"}), horizon=frame.horizon)
    assert frame.as_of_us.tolist() == coarse.as_of_us.tolist() == [1767312000000000, 1767398400000000]
