from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.core.catalogue import window_text
from features.declarations.durations import parse_duration


@given(
    st.integers(1, 36_499).map(lambda days: timedelta(days=days)) | st.integers(1, 86_399_999).map(lambda ms: timedelta(milliseconds=ms))
)
def test_reading_is_the_inverse_of_writing(duration):
    assert parse_duration(window_text(duration)) == duration


@pytest.mark.parametrize(
    "text", ["", "7", "d", "7 days", "7 d", " 7d", "7d ", "7d\n", "1.5h", "-1d", "+1d", "1d12h", "7D", "7w", "\u0667d", "36501d"]
)
def test_nothing_else_is_a_duration(text):
    with pytest.raises(ValueError, match="expected"):
        parse_duration(text)
