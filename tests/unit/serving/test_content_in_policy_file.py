"""Content and blocks of a message, as policy.yaml names them."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
import yaml

from features.declarations.yaml_file import DeclarationError
from serving.policy_file import load_policy, policy_document, policy_from_document
from serving.policy_file.content_fields import MOST_BLOCKS, MOST_PARAMETERS, MOST_TEXTS
from serving.policy_review import Finding, review_policy
from tests.reviewed_policy import CLEAN, EMAIL
from tests.serving_world import ROOT

CONTENT = {"action": "Go on", "video_url": "https://example.com/v", "image_url": "{plan|}", "greeting": "Hello {first_name|there}"}
BLOCKS = {"recommendations": {"items": 3}, "items_left": {"items": 5, "images": True, "order": "newest"}, "reviews": {}}


@pytest.fixture
def load(tmp_path, onboarding):
    """The shipped policy of which one message carries something else."""

    def load(**carried):
        document = yaml.safe_load((ROOT / "products" / "onboarding" / "policy.yaml").read_text())
        for message in document["messages"].values():
            message.pop("content", None)
            message.pop("blocks", None)
        document["messages"]["back_in"].update(carried)
        file = tmp_path / "policy.yaml"
        file.write_text(yaml.safe_dump(document, sort_keys=False))
        return load_policy(file, onboarding)

    return load


def test_content_and_blocks_are_read_and_kept(load):
    policy = load(content=CONTENT, blocks=BLOCKS)
    message = policy.message_by_id["back_in"]
    assert (message.content, message.blocks) == (CONTENT, BLOCKS)
    assert message.blocks["items_left"]["images"] is True
    assert policy_from_document(policy_document(policy)) == policy
    assert len({policy.hash, load().hash, load(content=CONTENT).hash, load(blocks=BLOCKS).hash}) == 4
    assert load(content=dict(reversed(CONTENT.items())), blocks=BLOCKS).hash == policy.hash


def test_without_them_the_document_is_that_of_before_so_that_its_hash_is_too(load):
    policy = load()
    assert not any({"content", "blocks"} & message.keys() for message in orjson.loads(policy_document(policy))["messages"])
    assert load(content={}, blocks={}).hash == policy.hash


@pytest.mark.parametrize(
    ("carried", "said"),
    [
        ({"content": {"greeting": "Hello {nickname|there}"}}, 'content.greeting: found "nickname", expected one of '),
        (
            {"content": {"greeting": "Hello {first_name}"}},
            "content.greeting: found {first_name}, expected words for users who have not set it; write {first_name|...}",
        ),
        ({"content": {"greeting": "Hello {first name|x}"}}, "content.greeting: found a brace outside a placeholder"),
        ({"content": {"Action": "Go on"}}, 'content.Action: found "Action", expected a name such as login_failed'),
        ({"content": {"seconds": 12}}, "content.seconds: found 12, expected text; put it in quotes"),
        ({"content": {"action": ""}}, 'content.action: found "", expected text that is not empty'),
        ({"content": {"action": "x" * 2_001}}, "expected text of at most 2000 characters"),
        ({"content": {f"text_{n}": "x" for n in range(MOST_TEXTS + 1)}}, "expected at most 16 texts under content; these are 17"),
        ({"content": {"action": "\ud83c"}}, "expected text of whole characters"),
        ({"blocks": {"reviews": {"of": "\ud83c"}}}, "expected text of whole characters; write the character itself and not its halves"),
        ({"content": ["action"]}, "content: found a list of 1, expected a mapping of names to values"),
        ({"blocks": {"reviews": None}}, "blocks.reviews: found nothing, expected a mapping of names to values"),
        ({"blocks": {"reviews": {"items": 1.5}}}, "blocks.reviews.items: found 1.5, expected a whole number of 0 to 1,000,000,000, true,"),
        ({"blocks": {"reviews": {"items": -1}}}, "blocks.reviews.items: found -1, expected a whole number of 0 to 1,000,000,000, true,"),
        ({"blocks": {"reviews": {"of": [1, 2]}}}, "blocks.reviews.of: found a list of 2, expected a whole number of 0 to"),
        ({"blocks": {"reviews": {"of": "x" * 201}}}, "or text of 1 to 200 characters; shorten it"),
        ({"blocks": {"reviews": {"of": ""}}}, 'blocks.reviews.of: found "", expected a whole number'),
        ({"blocks": {"reviews": {"of": ""}}}, "; leave the parameter out where it has no value"),
        ({"blocks": {"reviews": {"of": None}}}, "; leave the parameter out where it has no value"),
        ({"blocks": {"reviews": {"items": 1.5}}}, "; count in a smaller or larger unit, or put the number in quotes to pass it on as text"),
        ({"blocks": {"reviews": {"of": {"a": 1}}}}, "; parameters are flat: what belongs together is one block"),
        ({"content": {"blank": "  "}}, 'content.blank: found "  ", expected text that is more than spaces; leave the name out'),
        ({"content": {"blank": "\n\t\u00a0"}}, "expected text that is more than spaces"),
        (
            {"content": {"agreed": "You said {consent|no}"}},
            "found {consent|no}, which is true or false, expected an attribute that has words of its own; make a segment of it",
        ),
        ({"title": "Push: {push_opt_in}"}, "title: found {push_opt_in}, which is true or false"),
        (
            {"blocks": {"reviews": {"of": "{first_name|there}"}}},
            "expected text without placeholders: blocks are passed on as they stand; fill it in under content instead",
        ),
        (
            {"blocks": {"reviews": {f"p_{n}": n for n in range(MOST_PARAMETERS + 1)}}},
            "expected at most 8 parameters of a block; these are 9",
        ),
        ({"blocks": {f"block_{n}": {} for n in range(MOST_BLOCKS + 1)}}, "blocks: found a mapping with block_0, block_1"),
        ({"blocks": {"no name": {}}}, 'blocks."no name": found "no name", expected a name such as login_failed'),
    ],
)
def test_a_fault_names_place_found_expected_and_remedy(load, carried, said):
    with pytest.raises(DeclarationError) as caught:
        load(**carried)
    assert said in str(caught.value)
    assert "messages.back_in." in str(caught.value)
    assert len(caught.value.faults) == 1


def campaign(*, email, push, campaigns=("carts", "carts")):
    """Two messages that carry these texts, by two channels."""
    other = replace(CLEAN.channels[-1], name="push")
    messages = (
        replace(EMAIL, id="by_email", channel=CLEAN.channels[-1].name, content=email, campaign=campaigns[0]),
        replace(EMAIL, id="by_push", channel="push", content=push, campaign=campaigns[1]),
    )
    return replace(CLEAN, channels=(*CLEAN.channels, other), messages=(*CLEAN.messages, *messages))


@pytest.mark.parametrize(
    ("case", "paths"),
    [
        ({"email": {"action": "Go on"}, "push": {"action": "Go on", "image_url": "x"}}, []),
        ({"email": {"action": "Go on"}, "push": {"action": "Buy now"}}, ["messages.by_push.content.action"]),
        ({"email": {"action": "Go on"}, "push": {"action": "Buy now"}, "campaigns": ("carts", "news")}, []),
        ({"email": {"action": "Go on"}, "push": {"action": "Buy now"}, "campaigns": (None, None)}, []),
    ],
    ids=["the same", "another", "another campaign", "no campaign"],
)
def test_s2_25_a_campaign_that_says_two_things_by_two_channels_is_noted(case, paths):
    found = [remark for remark in review_policy(campaign(**case)) if ".content." in remark.path]
    assert [remark.path for remark in found] == paths
    assert all(remark.kind is Finding.NOTE for remark in found)
    assert all("not that of by_email, which is of the same campaign, carts" in remark.sentence for remark in found)
