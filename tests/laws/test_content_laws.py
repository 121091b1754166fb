"""What holds of the content and the blocks of every message, whatever they are and whoever gets it."""

from __future__ import annotations

import json
from dataclasses import replace

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.decision.decide import decide
from serving.decision.messages import fill
from serving.decision.output import output_json, output_object
from serving.policy_file import policy_document, policy_from_document
from serving.policy_file.document import with_hash
from serving.use_case.receipt import delivery_order
from tests.laws.decision_cases import inputs_of_all_kinds, policies

laws = settings(max_examples=150, deadline=None)
VERSIONS = {"model": None, "policy": "p", "features": "f"}

names = st.sampled_from(["action", "image_url", "video_url", "checklist", "greeting"])
plain, placeholders = (
    ["Go on", "\n", " ", "größer €"],
    ["{user_id}", "{first_name|there}", "{timezone|}", "{seats|one seat}", "{consent|?}"],
)
pieces = st.sampled_from([*plain, *placeholders])
templates = st.lists(pieces, min_size=1, max_size=4).map("".join)
contents = st.dictionaries(names, templates, min_size=1, max_size=4)
parameters = st.one_of(st.booleans(), st.integers(0, 10**9), st.text("ab 1é", min_size=1, max_size=5), st.sampled_from(["1", "true"]))
blocks = st.dictionaries(names, st.dictionaries(names, parameters, max_size=3), min_size=1, max_size=3)
attributes = st.fixed_dictionaries({}, optional={"first_name": st.sampled_from(["Ada", "", None]), "seats": st.sampled_from([5.0, 2.5])})


@st.composite
def told(draw):
    inputs = draw(inputs_of_all_kinds)
    return replace(inputs, profile={**inputs.profile, **draw(attributes)})


def carrying(policy, **changes):
    """The same policy, every message of it changed."""
    return replace(policy, messages=tuple(replace(message, **changes) for message in policy.messages))


def exact(value):
    """Tells true from 1, and the order of keys from none."""
    return json.dumps(value, sort_keys=True)


@laws
@given(inputs=told(), policy=policies, content=contents, body=templates)
def test_content_is_filled_as_title_and_body_are(inputs, policy, content, body):
    decision = decide(inputs, carrying(policy, title=body, body=body, content={**content, "the_body": body}))
    if decision.message_id is not None:
        assert decision.body == decision.title == fill(body, inputs)
        filled = {name: fill(text, inputs) for name, text in {**content, "the_body": body}.items()}
        assert decision.content == {name: text if text.strip() else "" for name, text in filled.items()}


@laws
@given(inputs=told(), policy=policies, content=contents, fetched=blocks)
def test_blocks_pass_through_untouched_and_answer_and_order_say_the_same(inputs, policy, content, fetched):
    decision = decide(inputs, carrying(policy, content=content, blocks=fetched))
    message = output_object(decision, VERSIONS)["message"]
    if message is None:
        assert (decision.content, decision.blocks) == ({}, {})
        return
    assert exact(message["blocks"]) == exact(fetched)
    assert orjson.loads(output_json(decision, VERSIONS))["message"] == message
    if order := delivery_order(decision):
        assert exact(orjson.loads(order)["blocks"]) == exact(fetched)
        assert orjson.loads(order)["content"] == message["content"] == decision.content


@laws
@given(inputs=told(), policy=policies, content=contents, fetched=blocks)
def test_what_a_message_carries_changes_nothing_else_and_without_it_there_are_no_such_keys(inputs, policy, content, fetched):
    without = output_object(decide(inputs, policy), VERSIONS)
    decision = output_object(decide(inputs, carrying(policy, content=content, blocks=fetched)), VERSIONS)
    if without["message"] is not None:
        assert not {"content", "blocks"} & without["message"].keys()
        del decision["message"]["content"], decision["message"]["blocks"]
    assert decision == without
    order = delivery_order(decide(inputs, policy))
    assert not order or not {"content", "blocks"} & orjson.loads(order).keys()


@laws
@given(policy=policies, content=st.one_of(st.just({}), contents), fetched=st.one_of(st.just({}), blocks))
def test_the_archive_gives_back_the_same_policy_and_names_what_is_carried_only_where_something_is(policy, content, fetched):
    policy = with_hash(carrying(policy, content=content, blocks=fetched))
    document = policy_document(policy)
    again = policy_from_document(document)
    assert again == policy
    assert all(exact(message.blocks) == exact(fetched) for message in again.messages)
    present = {name for message in orjson.loads(document)["messages"] for name in ("content", "blocks") if name in message}
    assert present == {name for name, carried in (("content", content), ("blocks", fetched)) if carried}
