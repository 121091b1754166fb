from __future__ import annotations

import pytest

from serving.settings import SettingsError, read_settings


def test_every_setting_has_a_default_that_works_on_one_machine():
    settings = read_settings({})
    assert settings.home.root.as_posix() == ".stillhere"
    assert settings.product_folder.as_posix() == "products/onboarding"
    assert settings.redis_url is None


def test_an_empty_variable_is_one_that_is_not_set():
    assert read_settings({"STILLHERE_REDIS_URL": "", "STILLHERE_PARTITIONS": " "}) == read_settings({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STILLHERE_REDIS_URL", "localhost:6379"),
        ("STILLHERE_REDIS_URL", "http://localhost"),
        ("STILLHERE_REDIS_TIMEOUT_S", "fast"),
        ("STILLHERE_REDIS_TIMEOUT_S", "nan"),
        ("STILLHERE_REDIS_TIMEOUT_S", "0"),
        ("STILLHERE_PARTITIONS", "0"),
        ("STILLHERE_PARTITIONS", "4.5"),
        ("STILLHERE_MAX_BODY_BYTES", "1"),
        ("STILLHERE_THREADS", "-1"),
        ("STILLHERE_LOG_DELAY_S", "inf"),
        ("STILLHERE_FOLLOW_S", "-1"),
        ("STILLHERE_WAIT_S", "0"),
        ("STILLHERE_EMPTY_ROUTE", "maybe"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name, value):
    with pytest.raises(SettingsError, match=f"{name} is '{value}', expected"):
        read_settings({name: value})


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6379/0", "rediss://user:word@host:1/2", "unix:///run/redis.sock"])
def test_redis_addresses(url):
    assert read_settings({"STILLHERE_REDIS_URL": url}).redis_url == url
