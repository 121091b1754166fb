from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from features.core.catalogue import Aggregation
from features.core.condition import Comparison, Condition
from features.core.product import Attribute, AttributeType, Cause, Collection, Label, Segment, Segmentation, SpineRule
from features.declarations.product_file import load_product
from features.declarations.yaml_file import DeclarationError

PRODUCTS = Path(__file__).parents[3] / "products"


def test_the_smallest_product_says_what_it_says(folder, smallest):
    product = load_product(folder(smallest))
    assert product.catalogue.feature_names == (
        "count_visit_7d",
        "count_visit_30d",
        "seconds_since_last_visit",
        "seconds_since_last_purchase",
    )
    assert product.causes == (Cause(name="silence", sentence="Nothing happens."), Cause(name="other", actionable=False))
    assert product.label == Label(activity=("visit", "purchase", "refund"), horizon=timedelta(days=7), spine=SpineRule())
    assert product.profile[3] == Attribute(name="zone", type=AttributeType.TEXT, model=False)
    assert product.profile[0] == Attribute(name="plan", type=AttributeType.CATEGORY, model=True)
    assert [attribute.direction.value for attribute in product.profile] == ["none"] * 5
    assert product.segments == (Segment(name="old", where={"plan": "basic", "age": 60, "vip": True}),)
    often = (
        Condition(feature="count_visit_7d", comparison=Comparison.AT_LEAST, value=3.0),
        Condition(feature="seconds_since_joined", comparison=Comparison.BELOW, value=600.0),
    )
    rarely = (Condition(feature="count_visit_30d", comparison=Comparison.ABOVE, value=0.0),)
    assert product.segmentations == (
        Segmentation(
            name="rhythm",
            segments=(
                Segment(name="often", where={"plan": "basic"}, conditions=often),
                Segment(name="rarely", conditions=rarely),
                Segment(name="rest"),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("line", "declared"),
    [
        ("", None),
        ("collection: {attribute: vip}\n", Collection(attribute="vip", unless_said=False)),
        ("collection: {attribute: vip, unless_said: refused}\n", Collection(attribute="vip", unless_said=False)),
        ("collection: {attribute: vip, unless_said: kept}\n", Collection(attribute="vip", unless_said=True)),
    ],
)
def test_s1_14_whose_behaviour_may_be_kept_is_declared_and_is_no_part_of_any_feature(folder, smallest, line, declared):
    product, plain = load_product(folder(line + smallest)), load_product(folder(smallest))
    assert product.collection == declared
    assert product.catalogue.fingerprint == plain.catalogue.fingerprint
    assert replace(product, collection=None) == plain


def test_a_feature_that_feast_would_lose_is_refused(folder, smallest):
    """Its offline joins drop columns that end in _y."""
    with pytest.raises(DeclarationError, match="found seconds_since_last_visit_y, expected no name that ends in _y"):
        load_product(folder(smallest.replace("visit", "visit_y")))


def test_one_entry_expands_in_declared_order_of_first_and_windows_second(folder, smallest):
    entry = "  - {aggregation: sum, of: [bought, purchase], windows: [all, 2d, 36h]}\n"
    product = load_product(folder(smallest.replace("label:", f"{entry}label:")))
    made = [feature for feature in product.catalogue.features if feature.aggregation is Aggregation.SUM]
    assert [feature.name for feature in made] == [
        "sum_bought",
        "sum_bought_2d",
        "sum_bought_36h",
        "sum_purchase",
        "sum_purchase_2d",
        "sum_purchase_36h",
    ]
    assert {feature.unit for feature in made} == {"cents"}
    assert made[0].window is None


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("name: shop\n", "", "name: found nothing, expected this key; add it"),
        ("name: shop", "name: My Shop", 'name: found "My Shop", expected a name such as login_failed; use lower-case letters, digits and'),
        ("name: shop", "name: 7", "name: found 7, expected text; put it in quotes"),
        (
            "description: A",
            "descripton: A",
            "descripton: found the unknown key descripton, expected one of version, name, description, kinds, groups, funnels,",
        ),
        ("  visit: {}", "  visit: {keep: 0}", "kinds.visit.keep: found 0, expected a number >= 1"),
        ("  visit: {}", "  visit: {keep: 1.5}", "kinds.visit.keep: found 1.5, expected a whole number"),
        ("  visit: {}", "  visit: {keep_first: -1}", "kinds.visit.keep_first: found -1, expected a number >= 0"),
        ("  visit: {}", "  visit: {keep: true}", "kinds.visit.keep: found true, expected a whole number"),
        ("  visit: {}", "  visit: []", "kinds.visit: found a list of 0, expected a mapping of keys to values"),
        ("  visit: {}", "  Visit: {}", 'kinds.Visit: found "Visit", expected a name such as login_failed'),
        ("  visit: {}", "  visit: {}\n  visit: {}", "kinds.visit: found visit on line 4 and again on line 5, expected each key once"),
        (
            "money: [purchase",
            "money: [sale",
            'groups.money[0]: found "sale", expected one of visit, view, purchase, refund, bought; declare',
        ),
        ("money: [purchase, refund", "money: [refund, refund", 'groups.money[1]: found "refund" again, expected each kind once; remove it'),
        ("  money: [", "  view: [", "groups.view: found the name of a kind, expected another name; rename the group"),
        ("[7d, 30d]", '["7 days"]', 'features[0].windows[0]: found "7 days", expected a duration such as 7d, 36h, 2m, 90s or 500ms'),
        ("[7d, 30d]", "[0d]", 'features[0].windows[0]: found "0d", expected a duration longer than nothing'),
        ("[7d, 30d]", "[7]", "features[0].windows[0]: found 7, expected a duration such as"),
        ("[7d, 30d]", "[]", "features[0].windows: found a list of 0, expected at least 1 in the list"),
        ("[7d, 30d]", "[1d, 24h]", "features[0]: found count_visit_1d again, expected each feature once; remove one of them"),
        (
            "of: visit,",
            "of: visits,",
            'features[0].of[0]: found "visits", expected one of visit, view, purchase, refund, bought, money; declare',
        ),
        ("count, of", "counts, of", 'features[0].aggregation: found "counts", expected count, sum, distinct_subjects,'),
        ("count, of", "sum, of", "features[0].of[0]: found sum over visit without a value, expected kinds with a value_unit; count them"),
        (
            "count, of: visit",
            "sum, of: money",
            "features[0].of[0]: found sum over the units cents, refunds, expected kinds of one value_unit",
        ),
        ("count, of", "distinct_subjects, of", "features[0].of[0]: found distinct_subjects over visit without a subject, expected a kind"),
        ("cause: silence", "cause: silent", 'features[0].cause: found "silent", expected one of silence; declare it under causes'),
        ("activity: [visit", "activity: [visits", 'label.activity[0]: found "visits", expected one of visit, view,'),
        ("horizon: 7d", "horizon: soon", 'label.horizon: found "soon", expected a duration such as'),
        (
            "horizon: 7d}",
            "horizon: 7d, spine: {start_after: 9d, stop_after: 3d}}",
            "label.spine.stop_after: found 3d, expected at least start_after, 9d; raise it",
        ),
        (
            "horizon: 7d}",
            "horizon: 7d, spine: {evry: 1d}}",
            "label.spine.evry: found the unknown key evry, expected one of every, start_after,",
        ),
        ("{type: number}", "{type: float}", 'profile.age.type: found "float", expected category, number, boolean, instant or text'),
        (
            "{type: category}",
            "{type: category, direction: up}",
            "profile.plan.direction: found up of a category, expected none; only what can grow has a direction",
        ),
        (
            "{type: number}",
            "{type: number, cohort: true}",
            "profile.age.cohort: found true of a number, expected false; only the values of a category name cohorts",
        ),
        (
            "{type: category}",
            "{type: category, cohort: true}\n  intake: {type: category, cohort: true}",
            "profile.intake.cohort: found a second one beside plan, expected one attribute at most; choose",
        ),
        ("{type: text}", "{type: text, model: true}", "profile.zone.model: found true, expected false for text; make it a category or"),
        ("  zone:", "  user_id:", "profile.user_id: found a name the system uses itself, expected another name; rename it"),
        ("  zone:", "  count_visit_7d:", "features[0]: found count_visit_7d, a name in use, expected another name; rename the attribute"),
        ("silence: {", "base: {", "causes.base: found a name the system uses itself, expected another name; rename it"),
        (
            "{plan: basic",
            "{plans: basic",
            'segments.old.plans: found "plans", expected one of plan, age, vip, zone, joined; declare it under profile',
        ),
        ("{plan: basic", "{plan: 7", "segments.old.plan: found 7, expected a category; one value of the attribute's type"),
        ("age: 60", "age: true", "segments.old.age: found true, expected a number; one value of the attribute's type"),
        (
            "vip: true",
            "joined: 2026-03-01T00:00:00Z",
            'segments.old.joined: found "2026-03-01T00:00:00Z", expected no instant; ask for its age',
        ),
        ("vip: true}", 'when: "visits >= 3"}', 'segments.old.when[0]: found "visits", expected one of count_visit_7d, count_visit_30d,'),
        ("vip: true}", 'when: "count_visit_7d = 3"}', 'segments.old.when[0]: found "count_visit_7d = 3", expected a condition such as'),
        (
            "often: {plan: basic, when",
            "often: {plan: 7, when",
            "segmentations.rhythm.often.plan: found 7, expected a category; one value of the attribute's type",
        ),
        (
            '{when: "count_visit_30d > 0"}',
            "{}",
            "segmentations.rhythm.rest: found a segment after rarely, which is everybody's, expected nothing after it; move rarely to the",
        ),
        (
            "  rhythm:",
            "  learned:",
            "segmentations.learned: found the name of the segmentation that training learns, expected another name",
        ),
        ("  zone:", "  seconds_since_joined:", "profile.seconds_since_joined: found the name of the age of joined, expected another name"),
        ("  joined:", "  last_visit:", "features[1]: found seconds_since_last_visit, a name in use, expected another name; rename the"),
        ("  zone:", "  when:", "profile.when: found a name the system uses itself, expected another name; rename it"),
        (
            "segments:\n",
            "collection: {attribute: tracking}\nsegments:\n",
            'collection.attribute: found "tracking", expected one of vip; declare it as boolean under profile or correct the name',
        ),
        ("segments:\n", "collection: {attribute: plan}\nsegments:\n", 'collection.attribute: found "plan", expected one of vip; declare'),
        ("segments:\n", "collection: {}\nsegments:\n", "collection.attribute: found nothing, expected this key; add it"),
        ("segments:\n", "collection:\nsegments:\n", "collection.attribute: found nothing, expected this key; add it"),
        (
            "segments:\n",
            "collection: {attribute: vip, unless_said: maybe}\nsegments:\n",
            'collection.unless_said: found "maybe", expected refused or kept',
        ),
        ("vip: true", "vip: 1", "segments.old.vip: found 1, expected a boolean; one value of the attribute's type"),
    ],
)
def test_each_fault_is_named_with_place_found_expected_and_advice(faults, smallest, old, new, fault):
    assert old in smallest
    lines = faults(smallest.replace(old, new, 1))
    assert any(line.startswith(fault) for line in lines), "\n".join(lines)


def test_all_faults_of_shape_come_at_once(faults, smallest):
    text = smallest.replace("visit: {}", "visit: {keep: 0}").replace("horizon: 7d", "horizon: soon").replace("type: number", "type: float")
    assert [line.split(":")[0] for line in faults(text)] == ["kinds.visit.keep", "label.horizon", "profile.age.type"]


def test_all_faults_across_keys_come_at_once_in_the_order_of_the_file(faults, smallest):
    text = smallest.replace("of: visit,", "of: visits,").replace("activity: [visit", "activity: [view_", 1).replace("{plan: basic", "{x: y")
    text = text.replace("view_", "vie")
    assert [line.split(":")[0] for line in faults(text)] == [
        "features[0].of[0]",
        "label.activity[0]",
        "segments.old.x",
        "segmentations.rhythm.often.x",
        "segmentations.rhythm.often.when[0]",
        "segmentations.rhythm.rarely.when[0]",
    ]


@pytest.mark.parametrize("text", ["", "- 1\n", "just text\n"])
def test_a_file_that_is_no_mapping_says_so(faults, text):
    assert any("expected a mapping of keys to values" in line for line in faults(text))


def test_a_kind_or_cause_may_be_left_empty(folder, smallest):
    product = load_product(folder(smallest.replace("visit: {}", "visit:").replace("silence: {sentence: Nothing happens.}", "silence:")))
    assert product.catalogue.kinds[0].keep == 64
    assert product.causes[0].actionable


@pytest.mark.parametrize("name", ["onboarding", "mooc"])
def test_a_shipped_product_is_whole(name):
    product = load_product(PRODUCTS / name)
    assert product.name == name
    assert len(product.catalogue.features) >= 60
    used = {feature.cause for feature in product.catalogue.features}
    assert used <= {cause.name for cause in product.causes}
    assert all(cause.sentence for cause in product.causes)
    assert all(cause.name in used for cause in product.causes if cause.actionable)


def test_an_unknown_key_that_is_nearly_a_known_one_is_guessed(faults, smallest):
    lines = faults(smallest.replace("description: A", "descripton: A"))
    assert lines[0] == "description: found nothing, expected this key; add it"
    assert lines[1].endswith("logs; did you mean description?")


def test_a_folder_that_is_not_there_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeclarationError) as caught:
        load_product(Path("products/nope"))
    assert str(caught.value) == (
        f"products/nope: found no such folder in {tmp_path}, expected a product folder, which holds product.yaml and policy.yaml; "
        "name it with --product or STILLHERE_PRODUCT, or draft one from an event log with `stillhere init FILE`"
    )
    (tmp_path / "empty").mkdir()
    with pytest.raises(DeclarationError, match=r"empty/product\.yaml: found no such file, expected a file that can be read"):
        load_product(tmp_path / "empty")
    (tmp_path / "empty" / "product.yaml").touch()
    with pytest.raises(DeclarationError, match=r"product\.yaml: found a file, expected a product folder"):
        load_product(tmp_path / "empty" / "product.yaml")


def test_an_attribute_and_an_age_keep_their_direction(folder, smallest) -> None:
    text = smallest.replace("{type: number}", "{type: number, direction: down}").replace(
        "{type: instant}", "{type: instant, direction: up}"
    )
    product = load_product(folder(text))
    directions = {attribute.name: attribute.direction.value for attribute in product.model_attributes}
    assert directions == {"plan": "none", "age": "down", "vip": "none", "seconds_since_joined": "up"}
