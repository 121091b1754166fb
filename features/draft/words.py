"""What people call the columns of event logs, best first; in snake case."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


USERS = _words(
    "user_id user uid userid customer_id customer customerid client_id account_id member_id person_id player_id student_id learner_id "
    "subscriber_id visitor_id visitorid distinct_id anonymous_id profile_id enrollment_id username email device_id account client member "
    "owner_id actor_id"
)
TIMES = _words(
    "occurred_at event_time event_timestamp timestamp original_timestamp time datetime date_time ts date event_date created_at created "
    "when at logged_at order_date invoice_date transaction_date day"
)
KINDS = _words("kind event event_name event_type action type activity verb event_kind action_type behavior behaviour name")
RECEIVED = _words("received_at ingested_at server_time server_timestamp received arrived_at loaded_at")
EVENT_IDS = _words("event_id message_id insert_id uuid event_uuid id transaction_id order_id invoice_no")
SESSIONS = _words("session_id session sessionid visit_id user_session")
SUBJECTS = _words(
    "subject page url path screen item_id product_id sku content_id object object_id target step feature lesson course_id category "
    "category_code module title item stock_code product"
)
VALUES = _words("value amount price revenue total duration seconds quantity count score points length")
