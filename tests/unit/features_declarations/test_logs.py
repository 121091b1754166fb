from __future__ import annotations

from datetime import timedelta

import pytest

from features.declarations.log import DailyCountsLog, EventsLog, FileFormat, FileSyntax, LabelsLog, ProfilesLog, TimeColumn
from features.declarations.product_file import load_product

LOGS = """\
logs:
  orders:
    shape: events
    format: csv
    delimiter: ";"
    file: orders.csv.gz
    user_id: customer
    kind: {constant: purchase}
    occurred_at: {column: day, formats: ["%d.%m.%Y"], assume_timezone: Europe/Berlin}
    received_at: {same_as: occurred_at}
    value: {column: amount, multiply_by: 100}
  clicks:
    shape: events
    format: jsonl
    event_id: id
    user_id: user
    kind: {column: type, values: {Page Viewed: view}}
    occurred_at: {column: ts, formats: [epoch_ms]}
    received_at: arrived
    subject: page
    session_id: session
  counts:
    shape: daily_counts
    format: parquet
    user_id: user
    date: day
    kinds: {n_orders: purchase}
  people:
    shape: profiles
    format: csv
    user_id: user
    attributes: {tariff: plan}
    known_since: beginning
  outcome:
    shape: labels
    format: csv
    user_id: user
    start: {column: joined, assume_timezone: UTC}
    as_of_after: 30d
    known_after: 40d
    label: {column: left, dropped_out: ["1", "yes"], stayed: ["0"]}
"""


def test_every_shape_becomes_its_declaration(folder, smallest):
    orders, clicks, counts, people, outcome = load_product(folder(smallest + LOGS)).logs
    assert orders == EventsLog(
        name="orders",
        syntax=FileSyntax(format=FileFormat.CSV, file="orders.csv.gz", delimiter=";"),
        user_id="customer",
        occurred_at=TimeColumn(column="day", formats=("%d.%m.%Y",), assume_timezone="Europe/Berlin"),
        constant_kind="purchase",
        value="amount",
        value_multiplier=100,
    )
    assert clicks == EventsLog(
        name="clicks",
        syntax=FileSyntax(format=FileFormat.JSONL),
        event_id="id",
        user_id="user",
        kind_column="type",
        kind_values={"Page Viewed": "view"},
        occurred_at=TimeColumn(column="ts", formats=("epoch_ms",)),
        received_at=TimeColumn(column="arrived"),
        subject="page",
        session_id="session",
    )
    assert counts == DailyCountsLog(
        name="counts",
        syntax=FileSyntax(format=FileFormat.PARQUET),
        user_id="user",
        date=TimeColumn(column="day"),
        kind_columns={"n_orders": "purchase"},
    )
    assert people == ProfilesLog(
        name="people", syntax=FileSyntax(format=FileFormat.CSV), user_id="user", attribute_columns={"tariff": "plan"}, changed_at=None
    )
    assert outcome == LabelsLog(
        name="outcome",
        syntax=FileSyntax(format=FileFormat.CSV),
        user_id="user",
        start=TimeColumn(column="joined", assume_timezone="UTC"),
        label="left",
        dropped_out_values=("1", "yes"),
        stayed_values=("0",),
        as_of_after=timedelta(days=30),
        known_after=timedelta(days=40),
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "shape: events",
            "shape: event",
            'logs.orders.shape: found "event", expected one of events, daily_counts, profiles, labels',
        ),
        ("    shape: events\n    format: csv", "    format: csv", "logs.orders.shape: found nothing, expected this key"),
        ("format: csv", "format: tsv", 'logs.orders.format: found "tsv", expected csv, parquet or jsonl'),
        ("    user_id: customer\n", "", "logs.orders.user_id: found nothing, expected this key; add it"),
        ("user_id: customer", "user: customer", "logs.orders.user: found the unknown key user, expected one of format, file, delimiter,"),
        ('delimiter: ";"', 'delimiter: "ab"', 'logs.orders.delimiter: found "ab", expected'),
        ("constant: purchase}", "constant: sale}", 'logs.orders.kind.constant: found "sale", expected one of visit, view,'),
        (
            "{constant: purchase}",
            "{}",
            "logs.orders.kind: found neither, expected exactly one of column, constant; name the column that holds the kind, or",
        ),
        ("{constant: purchase}", "{constant: purchase, column: k}", "logs.orders.kind: found column and constant, expected exactly one of"),
        (
            "{same_as: occurred_at}",
            "{}",
            "logs.orders.received_at: found neither, expected exactly one of column, same_as; name the column of when each row reached",
        ),
        (
            "{same_as: occurred_at}",
            "{same_as: occurred_at, column: sent}",
            "logs.orders.received_at: found column and same_as, expected exactly one of column, same_as; name the column",
        ),
        ("{same_as: occurred_at}", "{same_as: now}", 'logs.orders.received_at.same_as: found "now", expected occurred_at'),
        ("    received_at: {same_as: occurred_at}\n", "", "logs.orders.received_at: found nothing, expected this key; add it: the column"),
        (
            ", assume_timezone: Europe/Berlin}\n    received",
            "}\n    received",
            'logs.orders.occurred_at.formats[0]: found "%d.%m.%Y", expected an assume_timezone beside a pattern without %z',
        ),
        ("Europe/Berlin", "Berlin", 'logs.orders.occurred_at.assume_timezone: found "Berlin", expected an IANA time zone such as UTC'),
        (
            '["%d.%m.%Y"]',
            '["dd.mm.yyyy"]',
            'logs.orders.occurred_at.formats[0]: found "dd.mm.yyyy", expected iso, epoch_s, epoch_ms, epoch_us',
        ),
        ('["%d.%m.%Y"]', '["%d.%Q"]', 'logs.orders.occurred_at.formats[0]: found "%d.%Q", expected iso,'),
        ("multiply_by: 100", "multiply_by: 0", "logs.orders.value.multiply_by: found 0, expected a number >= 1"),
        (
            "    value: {column: amount, multiply_by: 100}\n",
            "",
            'logs.orders.kind.constant: found "purchase" without a value column, expected a value column, which purchase needs (cents)',
        ),
        (
            "    subject: page\n",
            "",
            'logs.clicks.kind.values."Page Viewed": found "view" without a subject column, expected a subject column',
        ),
        ("n_orders: purchase", "n_orders: order", 'logs.counts.kinds.n_orders: found "order", expected one of visit, view,'),
        (
            "n_orders: purchase",
            "n_orders: visit",
            'logs.counts.kinds.n_orders: found "visit", expected a kind with a value_unit and without',
        ),
        (
            "n_orders: purchase",
            "n_orders: bought",
            'logs.counts.kinds.n_orders: found "bought", expected a kind with a value_unit and without',
        ),
        (
            "tariff: plan",
            "tariff: plans",
            'logs.people.attributes.tariff: found "plans", expected one of plan, age, vip, zone, joined; declare it under',
        ),
        (
            "    known_since: beginning\n",
            "",
            "logs.people: found neither changed_at nor known_since, expected exactly one of changed_at, known_since; name the column",
        ),
        (
            "known_since: beginning",
            "known_since: beginning\n    changed_at: at",
            "logs.people: found changed_at and known_since, expected exactly one of changed_at, known_since",
        ),
        ("known_since: beginning", "known_since: ever", 'logs.people.known_since: found "ever", expected beginning'),
        (
            "known_after: 40d",
            "known_after: 20d",
            "logs.outcome.known_after: found 20d, expected at least as_of_after, 30d; a label is known",
        ),
        ('stayed: ["0"]', 'stayed: ["0", "1"]', "logs.outcome.label.stayed: found 1 also under dropped_out, expected each value once"),
        ('stayed: ["0"]', "stayed: [0]", "logs.outcome.label.stayed[0]: found 0, expected text; put it in quotes"),
    ],
)
def test_each_fault_in_a_log_is_named(faults, smallest, old, new, fault):
    assert old in LOGS
    lines = faults(smallest + LOGS.replace(old, new, 1))
    assert any(line.startswith(fault) for line in lines), "\n".join(lines)
