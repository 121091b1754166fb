"""People of the scenarios and what happened to them, in the onboarding product."""

from __future__ import annotations

from datetime import timedelta


def in_trouble_signing_in(world, failures=3, **attributes):
    user_id = world.person(**attributes)
    world.happens(user_id, "login_failed", times=failures)
    return user_id


def gone_quiet(world, user_id="ada", **attributes):
    """Used the product ten days ago, enough to be known, and not since."""
    world.person(user_id, **attributes)
    world.happens(user_id, "login", times=12, ago=timedelta(days=10))
    return user_id


def verdict(output, arm, rule):
    return next(v for v in output["verdicts"] if v["arm"] in (arm, "*") and v["rule"] == rule)


def uses_the_app(world, user_id="ada", **attributes):
    """Gone quiet, and reached by push as well."""
    return gone_quiet(world, user_id, app_installed=True, push_opt_in=True, **attributes)


def arm(output, name):
    return next(each for each in output["arms"] if each["name"] == name)
