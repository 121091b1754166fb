"""Delays that chance draws, as policy.yaml names them."""

from __future__ import annotations

import pytest
import yaml

from features.declarations.yaml_file import DeclarationError
from serving.policy_file import load_policy, policy_document, policy_from_document
from tests.serving_world import ROOT

ALL = {"arm_share": 0.1, "delay_share": 0.05, "delays": ["0s", "1h", "6h"]}


@pytest.fixture
def load(tmp_path, onboarding):
    """The shipped policy with another section on exploration."""

    def load(**exploration):
        content = yaml.safe_load((ROOT / "products" / "onboarding" / "policy.yaml").read_text())
        file = tmp_path / "policy.yaml"
        file.write_text(yaml.safe_dump(content | {"exploration": exploration}, sort_keys=False))
        return load_policy(file, onboarding)

    return load


def test_share_and_delays_are_read_and_kept(load):
    policy = load(**ALL)
    assert policy.exploration.delay_share == 0.05
    assert [delay.total_seconds() for delay in policy.exploration.delays] == [0.0, 3_600.0, 21_600.0]
    assert policy_from_document(policy_document(policy)) == policy
    assert policy.hash != load(**ALL | {"delay_share": 0.06}).hash != load(**ALL | {"delays": ["0s", "1h"]}).hash


def test_without_them_the_document_is_that_of_before_so_that_its_hash_is_too(load):
    policy = load(arm_share=0.1)
    assert not policy.exploration.draws_delays
    assert b"delay_share" not in policy_document(policy)
    assert policy_from_document(policy_document(policy)) == policy


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"delays": None},
            "exploration.delays: found nothing, expected the delays that are drawn; name them, for example [0s, 1h, 6h, 24h]",
        ),
        ({"delay_share": 0.0}, "exploration.delay_share: found 0, expected a share above 0 of the moments that are drawn; say how often"),
        ({"delay_share": 1.5}, "exploration.delay_share: found 1.5, expected a number <= 1"),
        ({"delays": ["1h", "6h"]}, "exploration.delays: found"),
        ({"delays": ["0s"]}, "exploration.delays: found"),
    ],
)
def test_a_fault_names_place_found_expected_and_remedy(load, changes, said):
    with pytest.raises(DeclarationError) as caught:
        load(**ALL | changes)
    assert said in str(caught.value)
    assert len(caught.value.faults) == 1
