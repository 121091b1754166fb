"""``rebuild``: the timelines from the raw log, and the profiles from their history."""

from __future__ import annotations

from serving.cli.faults import BadInputError
from serving.cli.options import HERE, Place


def rebuild(*user_ids: str, place: Place = HERE) -> None:
    """Merge the raw log into the timelines again: of the users named, or of all; of all, profiles are loaded from their history as well.

    Needed when a stored timeline cannot be read, after `keep` or `keep_first` of a kind was raised in product.yaml, and after Redis lost
    its data. May run beside a running service; doing it again changes nothing.

    Example: `stillhere rebuild ada bob`

    Parameters
    ----------
    user_ids
        Whose timelines; none named: everybody's.
    """
    from serving.cli.decide import opened
    from serving.cli.steps import Steps

    with opened(place) as installation:
        from features.ingest.rebuild import rebuild as rebuild_timelines

        raw_dir = installation.settings.home.raw_dir(installation.product.name)
        steps = Steps()
        with steps.step("rebuilding timelines") as share:
            raw = rebuild_timelines(raw_dir, installation.product, installation.timelines, share, user_ids)
        if not user_ids:
            with steps.step("restoring profiles"):
                installation.stored_profiles.restore()
    steps.console.print(f"    {len(raw.columns):,} events of {len(raw.user_ids):,} users", soft_wrap=True)
    missing = sorted(set(user_ids) - set(raw.user_ids.tolist()))
    if missing:
        raise BadInputError(f"no event in the raw log {raw_dir} is of {', '.join(missing)}; correct the name, or import their events")
