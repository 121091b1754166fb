"""What the demo leaves and takes away, and the people it plays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from features.home import Home
from features.ingest.admission import admit_item
from features.ingest.rejection import Rejection
from serving.cli.demo.personas import personas
from serving.cli.demo.state import is_demo, keep, reset
from serving.cli.faults import BadInputError


def test_the_demo_replaces_its_own_state(tmp_path):
    home = Home(tmp_path / "new")
    reset(home)
    assert is_demo(home)
    (home.root / "products").mkdir()
    reset(home)
    assert not (home.root / "products").exists()
    (home.root / "products").mkdir()
    keep(home)
    with pytest.raises(BadInputError, match="choose another place"):
        reset(home)


def test_every_event_of_the_demo_is_acceptable(onboarding):
    now = datetime.now(UTC)
    admitted = [admit_item(item, onboarding, now) for persona in personas() for item in persona.items(now)]
    assert [item for item in admitted if isinstance(item, Rejection)] == []


def test_the_model_has_learned_of_users_as_young_as_those_of_the_demo(onboarding):
    """Of somebody who signed up an hour ago it would say that silence is what drives the risk: it never saw anyone so young."""
    least_s = onboarding.label.spine.start_after.total_seconds()
    assert {persona.user_id: max(age for age, *_ in persona.moments) > least_s for persona in personas()} == dict.fromkeys(
        ("lena", "omar", "yuki", "tom", "nora"), True
    )
