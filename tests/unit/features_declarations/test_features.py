"""Every key that an aggregation can need, and every way to get it wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest

from features.core.catalogue import Aggregation, Feature
from features.core.families import FUNNELS, PARAMETERS, VALUED
from features.core.program import compile_program
from features.declarations.product_file import load_product

FUNNEL = "funnels:\n  setup: [view/one, visit, view/two]\n"
MORE_GROUPS = "  money: [purchase, refund]\n  pages: [view/a, view/b, bought/a]\n"
VALUES = {
    "to": "view/pricing",
    "first": "2",
    "last": "5",
    "within": "1h",
    "half_life": "3d",
    "hours": "[22, 6]",
}


@pytest.fixture
def with_entry(smallest):
    """The smallest product with a funnel, more groups and one more entry of ``features``, number 2."""

    def text(entry: str) -> str:
        whole = smallest.replace("features:\n", f"{FUNNEL}features:\n").replace("  money: [purchase, refund]\n", MORE_GROUPS)
        return whole.replace("label:", f"  - {{{entry}}}\nlabel:")

    return text


@pytest.fixture
def made(with_entry, folder):
    """The features that one entry makes."""

    def load(entry: str) -> list[Feature]:
        product = load_product(folder(with_entry(entry)))
        compile_program(product.catalogue)
        return list(product.catalogue.features[4:])

    return load


def entry_of(aggregation: Aggregation) -> str:
    of = "setup" if aggregation in FUNNELS else "purchase" if aggregation in VALUED else "bought"
    keys = [f"{key}: {VALUES[key]}" for key in PARAMETERS.get(aggregation, ()) if key in VALUES]
    return ", ".join([f"aggregation: {aggregation.value}", f"of: {of}", "windows: 7d", *keys])


@pytest.mark.parametrize("aggregation", Aggregation)
def test_every_aggregation_can_be_declared_and_is_described(made, aggregation):
    (feature,) = made(entry_of(aggregation))
    assert feature.aggregation is aggregation
    assert feature.unit
    assert feature.description[0].isupper()
    assert feature.description.endswith(".")
    assert "None" not in feature.description
    assert "{" not in feature.description


@pytest.mark.parametrize(
    ("entry", "name", "description"),
    [
        (
            "aggregation: ratio, of: refund, to: purchase, windows: 30d",
            "ratio_refund_to_purchase_30d",
            "Number of refund events for each of",
        ),
        (
            "aggregation: share_of_first, of: visit, to: pages, first: 2",
            "share_of_first_visit_to_pages_first_2",
            "Share of visit events among",
        ),
        ("aggregation: count, of: view/Docs start", "count_view_docs_start", "Number of view events about Docs start."),
        ("aggregation: burst, of: pages, within: 30m", "burst_pages_within_30m", "Greatest number of pages events within 30 minutes."),
        (
            "aggregation: decayed_count, of: visit, half_life: 7d",
            "decayed_count_visit_half_life_7d",
            "Number of visit events, each counting",
        ),
        (
            "aggregation: hour_share, of: visit, hours: [22, 6], zone: Europe/Berlin",
            "hour_share_visit_hours_22_6_europe_berlin",
            "Share of visit events between 22:00 and 6:00 in Europe/Berlin.",
        ),
        ("aggregation: hour_share, of: visit, hours: [0, 24], zone: UTC", "hour_share_visit_hours_0_24", "Share of visit events between"),
        ("aggregation: last_kinds, of: pages, last: 4", "last_kinds_pages_last_4", "Kinds of the newest 4 of pages events, as a code."),
        ("aggregation: trend, of: visit, windows: 1d", "trend_visit_1d", "Number of visit events in the last 1 day, less the number"),
        ("aggregation: funnel_position, of: setup", "funnel_position_setup", "Farthest step of the funnel setup with an event."),
        ("aggregation: count, of: visit, windows: 2d, description: Mine.", "count_visit_2d", "Mine."),
    ],
)
def test_an_entry_makes_the_feature_that_its_name_says(made, entry, name, description):
    (feature,) = made(entry)
    assert feature.name == name
    assert feature.description.startswith(description)


def test_groups_and_funnels_stand_for_their_selectors(made):
    (share,) = made("aggregation: share_of_first, of: pages, to: visit, first: 2")
    assert share.kinds == ("view/a", "view/b", "bought/a")
    assert share.to_kinds == ("visit",)
    (position,) = made("aggregation: seconds_at_step, of: setup")
    assert position.kinds == ("view/one", "visit", "view/two")


def test_units_come_from_aggregations_and_kinds(made):
    assert [feature.unit for feature in made("aggregation: mean, of: purchase")] == ["cents"]
    assert [feature.unit for feature in made("aggregation: last_kinds, of: pages, last: 2")] == ["code"]
    assert [feature.unit for feature in made("aggregation: max_gap_seconds, of: visit")] == ["s"]


def test_a_zone_goes_with_its_offsets(made):
    (feature,) = made("aggregation: hour_share, of: visit, hours: [9, 17], zone: Asia/Kolkata")
    assert feature.zone is not None
    assert feature.zone.offsets_s == (19_800,)
    assert feature.hours == (9, 17)


def test_parameters_are_durations_and_numbers(made):
    (burst,) = made("aggregation: burst, of: visit, within: 90s")
    assert burst.within == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (
            "aggregation: ratio, of: visit",
            "features[2].to: found nothing, expected the kind or group that of is set against; ratio needs it",
        ),
        ("aggregation: share_of_first, of: visit, to: view", "features[2].first: found nothing, expected how many of the oldest events"),
        ("aggregation: burst, of: visit", "features[2].within: found nothing, expected the span; burst needs it"),
        ("aggregation: decayed_count, of: visit", "features[2].half_life: found nothing, expected the time in which"),
        ("aggregation: hour_share, of: visit", "features[2].hours: found nothing, expected two hours of the day such as [22, 6]"),
        ("aggregation: last_kinds, of: visit", "features[2].last: found nothing, expected how many of the newest events"),
        ("aggregation: trend, of: visit", 'features[2].windows[0]: found "all", expected a duration; trend compares two windows'),
        ("aggregation: trend, of: visit, windows: [1d, all]", 'features[2].windows[1]: found "all", expected a duration'),
        (
            "aggregation: count, of: visit, windows: 2d, to: view",
            "features[2].to: found a key of ratio, seconds_to_first, seconds_to_next,",
        ),
        (
            "aggregation: max_gap_ratio, of: visit, within: 1h",
            "features[2].within: found a key of burst, expected no such key with max_gap_ratio",
        ),
        (
            "aggregation: count, of: visit, windows: 2d, zone: UTC",
            "features[2].zone: found a key of hour_share, expected no such key with count",
        ),
        (
            "aggregation: mean, of: visit",
            "features[2].of[0]: found mean over visit without a value, expected kinds with a value_unit; count",
        ),
        (
            "aggregation: max, of: money",
            "features[2].of[0]: found max over the units cents, refunds, expected kinds of one value_unit; split",
        ),
        ("aggregation: sum, of: view/a", "features[2].of[0]: found sum over view without a value, expected kinds with a value_unit"),
        ("aggregation: count, of: visit/home", 'features[2].of[0]: found "visit/home" where visit has no subject, expected a kind with a'),
        (
            "aggregation: count, of: visits/home",
            'features[2].of[0]: found "visits", expected one of visit, view, purchase, refund, bought;',
        ),
        ("aggregation: count, of: view/", 'features[2].of[0]: found "view/", expected a kind such as page_view, or a kind and a subject'),
        ("aggregation: count, of: View/a", 'features[2].of[0]: found "View/a", expected a name such as login_failed'),
        (
            "aggregation: count, of: view/価格",
            'features[2].of[0]: found "view/価格", expected a subject with a letter from a to z or a digit; put',
        ),
        ("aggregation: count, of: [view/a, view/A]", "features[2]: found count_view_a again, expected each feature once"),
        (
            "aggregation: ratio, of: visit, to: views",
            'features[2].to: found "views", expected one of visit, view, purchase, refund, bought, money',
        ),
        (
            "aggregation: count, of: setup",
            'features[2].of[0]: found "setup", expected one of visit, view, purchase, refund, bought, money, pages;',
        ),
        ("aggregation: funnel_position, of: visit", 'features[2].of[0]: found "visit", expected one of setup; declare it under funnels'),
        (
            "aggregation: share_of_first, of: [visit, pages], to: view, first: 5",
            'features[2].to: found "view", which shares events with "pages": view/a and view, expected other events than those of `of`',
        ),
        (
            "aggregation: last_kinds, of: pages, last: 16",
            "features[2].last: found 16 of 3 kinds of pages: 4294967296 codes, expected less than",
        ),
        (
            "aggregation: share_of_first, of: visit, to: pages, first: 3",
            "features[2].first: found 3, with less kept of",
        ),
        ("aggregation: ratio, of: visit, to: visit", "features[2].to: found ratio of visit to itself, expected other events"),
        ("aggregation: burst, of: pages, within: 1h, windows: 1h", "features[2].within: found 1h, expected a span shorter than every"),
        ("aggregation: last_kinds, of: pages, last: 31", "features[2].last: found 31, expected a number <= 30"),
        ("aggregation: last_kinds, of: pages, last: 2, direction: up", "features[2].direction: found up of a code, expected none"),
        ("aggregation: share_of_first, of: visit, to: view, first: 0", "features[2].first: found 0, expected a number >= 1"),
        (
            "aggregation: hour_share, of: visit, hours: [6, 6]",
            "features[2].hours: found [6, 6], expected two different hours, the first from 0",
        ),
        ("aggregation: hour_share, of: visit, hours: [24, 6]", "features[2].hours: found [24, 6], expected two different hours"),
        ("aggregation: hour_share, of: visit, hours: [6, 25]", "features[2].hours[1]: found 25, expected a number <= 24"),
        ("aggregation: hour_share, of: visit, hours: [6]", "features[2].hours: found a list of 1, expected at least 2 in the list"),
        ("aggregation: hour_share, of: visit, hours: [6, 7], zone: Berlin", 'features[2].zone: found "Berlin", expected an IANA time zone'),
        ("aggregation: burst, of: visit, within: 0s", 'features[2].within: found "0s", expected a duration longer than nothing'),
        ("aggregation: count, of: visit, windows: 36501d", 'features[2].windows[0]: found "36501d", expected a duration such as'),
    ],
)
def test_every_misuse_is_a_named_fault(faults, with_entry, entry, fault):
    lines = faults(with_entry(entry))
    assert any(line.startswith(fault) for line in lines), "\n".join(lines)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "setup: [view/one",
            "setup: [hover/one",
            'funnels.setup[0]: found "hover", expected one of visit, view, purchase, refund, bought; declare',
        ),
        ("setup: [view/one", "setup: [visit/one", 'funnels.setup[0]: found "visit/one" where visit has no subject, expected a kind with a'),
        (
            "setup: [view/one",
            "setup: [visit",
            'funnels.setup[1]: found "visit" after "visit", expected steps that share no event; remove one',
        ),
        ("view/two]", "view]", 'funnels.setup[2]: found "view" after "view/one", expected steps that share no event; remove one'),
        ("  setup: [", "  money: [", "funnels.money: found the name of a kind or group, expected another name; rename the funnel"),
        (
            "view/b, bought",
            "visit/b, bought",
            'groups.pages[1]: found "visit/b" where visit has no subject, expected a kind with a subject',
        ),
        ("activity: [visit", "activity: [pages", "label.activity[0]: found pages with view/a, expected whole kinds; name kinds without"),
    ],
)
def test_every_fault_of_funnels_and_groups_is_named(faults, with_entry, old, new, fault):
    text = with_entry("aggregation: funnel_position, of: setup")
    assert old in text
    lines = faults(text.replace(old, new, 1))
    assert any(line.startswith(fault) for line in lines), "\n".join(lines)
