"""The frame shows the model what it may see, and has a fingerprint."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd

from features.core.catalogue import Aggregation
from models.signature import CodedFeature
from tests.unit.training import synthetic
from training.frame import AS_OF, OUTCOME, PROFILE_CAUSE, USER, TrainingFrame, causes_of, learn_signature


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
    assert [attribute.name for attribute in synthetic.product().model_attributes] == ["plan", "invited"]
    assert frame_with_profile().profiles() == [{"plan": "pro", "invited": True}, {"plan": None, "invited": None}]


def test_the_signature_learns_categories_from_the_rows() -> None:
    signature = learn_signature(frame_with_profile())
    assert [(a.name, a.categories) for a in signature.attributes] == [("plan", ("pro",)), ("invited", ())]
    assert signature.feature_fingerprint == synthetic.product().catalogue.fingerprint


def test_the_signature_learns_codes_from_the_rows() -> None:
    frame = frame_with_profile()
    catalogue = frame.product.catalogue
    coded = replace(catalogue.features[0], aggregation=Aggregation.LAST_KINDS, last=2)
    product = replace(frame.product, catalogue=replace(catalogue, features=(coded, *catalogue.features[1:])))
    rows = frame.rows.assign(**{coded.name: [7.0, 3.0]})
    signature = learn_signature(replace(frame, product=product, rows=rows))
    assert signature.coded == (CodedFeature(name=coded.name, codes=(3.0, 7.0)),)
    assert signature.categorical_inputs[0] == 0


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
