"""Who becomes champion: judged on the same rows, moved in one step, and taken back as easily."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from features.core.catalogue import Catalogue
from models.errors import ModelError
from serving.adapters.model_registry import resolve_champion
from tests.model.place import Fresh
from training.aliases import make_champion, roll_back, set_shadow, tidy
from training.errors import PromotionRefusedError, RegistryError, UnknownVersionError
from training.gate import Gate
from training.promote import promote_version
from training.register import Registration, registered
from training.registry import REPLACES, UNFINISHED, champion_of, load_model, version_of
from training.side_by_side import Asked
from training.tables import verdict_table


def champion(fresh: Fresh) -> str | None:
    """Version that serving would fetch."""
    found = resolve_champion(fresh.product.name)
    return None if found is None else found.version


@contextmanager
def interrupted(fresh: Fresh) -> Iterator[Registration]:
    """A registration that Ctrl-C ends after the block."""
    with suppress(KeyboardInterrupt), registered(fresh.product.name, fresh.uris["good"], run_id=fresh.run_id, tags={}) as version:
        yield version
        raise KeyboardInterrupt


def test_a_better_challenger_becomes_champion_and_the_run_says_why(fresh: Fresh) -> None:
    fresh.register("worse", champion_after=None)
    fresh.register("good")
    promotion = promote_version(fresh.product, fresh.home)
    assert promotion.promoted
    assert fresh.aliases == {"champion": "2", "previous": "1"}  # and no challenger any more
    run = mlflow.get_run(promotion.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["stillhere.promoted"] == "yes"
    assert run.data.metrics["gate.gain_low"] > 0
    assert run.data.metrics["gain_over_champion.log_loss_low"] > 0
    assert "gain over the champion" in version_of(fresh.name, "2").tags["stillhere.champion_because"]
    note = run.data.tags["mlflow.note.content"]
    for said in ("the champion (version 1)", "For whom?", "learned/s1", "The gate"):
        assert said in note


def test_a_challenger_that_is_not_better_is_refused_and_named_a_worse_segment(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    fresh.register("worse")
    promotion = promote_version(fresh.product, fresh.home)
    assert not promotion.promoted
    assert "not shown to be better" in promotion.because
    assert "in segment learned/" in promotion.because
    assert fresh.aliases == {"champion": "1", "challenger": "2"}
    assert mlflow.get_run(promotion.run_id).data.tags["stillhere.promoted"] == "no"


def test_a_forced_promotion_keeps_its_reason(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    fresh.register("worse")
    promotion = promote_version(fresh.product, fresh.home, force="the old one is being retired")
    assert promotion.promoted
    assert version_of(fresh.name, "champion").version == "2"
    assert "the old one is being retired" in version_of(fresh.name, "2").tags["stillhere.champion_because"]


def test_without_a_champion_the_first_is_promoted_unjudged(fresh: Fresh) -> None:
    fresh.register("good")
    promotion = promote_version(fresh.product, fresh.home)
    assert (promotion.promoted, promotion.because, promotion.verdict) == (True, "there was no champion", None)
    assert fresh.aliases == {"champion": "1"}


@pytest.mark.parametrize("champion_before", [True, False])
def test_a_version_that_takes_too_long_to_explain_is_refused_unless_that_is_allowed(fresh: Fresh, *, champion_before: bool) -> None:
    if champion_before:
        fresh.register("worse", champion_after=None)
    fresh.register("good")
    asked = Asked(model="challenger", gate=Gate(explanation_budget_ms=1e-4))
    refused = promote_version(fresh.product, fresh.home, asked)
    assert not refused.promoted
    assert re.search(r"one explanation takes [0-9.]+ ms, more than the budget of 0.0001 ms", refused.because)
    if champion_before:
        assert refused.verdict is not None
        last = verdict_table(refused.verdict).iloc[-1]
        assert (last["where"], last["holds"]) == ("one explanation", False)
        assert "| one explanation |" in mlflow.get_run(refused.run_id).data.tags["mlflow.note.content"]
    assert fresh.aliases.get("champion") == ("1" if champion_before else None)
    assert promote_version(fresh.product, fresh.home, replace(asked, gate=Gate(explanation_budget_ms=0.0))).promoted


def test_rollbacks_go_back_one_by_one_to_the_first(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    fresh.register("worse", champion_after="1")
    fresh.register("good", champion_after="2")
    assert roll_back(fresh.product, because="it alarmed") == ("3", "2")
    assert fresh.aliases == {"champion": "2", "previous": "1"}
    assert "it alarmed" in version_of(fresh.name, "3").tags["stillhere.rolled_back_because"]
    assert roll_back(fresh.product, because="again") == ("2", "1")
    assert fresh.aliases == {"champion": "1"}
    with pytest.raises(PromotionRefusedError, match="replaced no other"):
        roll_back(fresh.product, because="once more")


def test_a_rollback_to_a_version_that_is_gone_leaves_the_champion(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    fresh.register("worse", champion_after="1")
    mlflow.MlflowClient().delete_model_version(fresh.name, "1")
    with pytest.raises(UnknownVersionError, match="no version or alias 1,"):
        roll_back(fresh.product, because="it alarmed")
    assert champion(fresh) == "2"


@pytest.mark.parametrize("step", ["before the commit", "after the commit", "while tidying"])
def test_whatever_stops_a_promotion_leaves_one_valid_champion(fresh: Fresh, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    fresh.register("worse", champion_after=None)
    fresh.register("good")
    client = mlflow.MlflowClient
    set_alias, delete_alias = client.set_registered_model_alias, client.delete_registered_model_alias

    def set_and_stop(self: mlflow.MlflowClient, name: str, alias: str, version: str) -> None:
        if step == "before the commit":
            raise KeyboardInterrupt
        set_alias(self, name, alias, version)
        if step == "after the commit":
            raise KeyboardInterrupt

    def stop(self: mlflow.MlflowClient, name: str, alias: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(client, "set_registered_model_alias", set_and_stop)
        patch.setattr(client, "delete_registered_model_alias", stop if step == "while tidying" else delete_alias)
        with pytest.raises(KeyboardInterrupt):
            make_champion(fresh.name, "2", replacing="1", because="a test says so")
    expected = "1" if step == "before the commit" else "2"
    assert champion(fresh) == expected
    assert champion_of(fresh.product).bundle is not None
    tidy(fresh.name)
    assert fresh.aliases == ({"champion": "1", "challenger": "2"} if expected == "1" else {"champion": "2", "previous": "1"})
    if expected == "2":
        assert roll_back(fresh.product, because="it was interrupted") == ("2", "1")


def test_a_version_interrupted_while_it_was_made_champion_is_not_taken_away(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    with interrupted(fresh) as version:
        make_champion(version.name, version.version, replacing="1", because="a test says so")
    assert champion(fresh) == "2"


def test_a_registration_that_stops_is_taken_back_with_its_aliases(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    fresh.register("worse")
    with interrupted(fresh) as version:
        set_shadow(fresh.product, version.version)
        mlflow.MlflowClient().set_registered_model_alias(version.name, "challenger", version.version)
    assert fresh.aliases == {"champion": "1", "challenger": "2"}
    assert version_of(fresh.name, "3") is None


def test_a_version_claims_nothing_until_it_has_its_place(fresh: Fresh) -> None:
    client = mlflow.MlflowClient()
    with registered(fresh.product.name, fresh.uris["good"], run_id=fresh.run_id, tags={}, note="what was found") as version:
        before = client.get_model_version(version.name, version.version)
        make_champion(version.name, version.version, replacing=None, because="a test says so")
    after = client.get_model_version(version.name, version.version)
    assert before.description.startswith("**Not finished.**")
    assert (UNFINISHED in before.tags, UNFINISHED in after.tags) == (True, False)
    assert after.description == "what was found"


def test_a_first_registration_that_fails_leaves_no_registered_model(fresh: Fresh) -> None:
    with pytest.raises(RegistryError, match="registering"), registered(fresh.product.name, "models:/m-not-there", run_id="r", tags={}):
        pass
    assert [model.name for model in mlflow.MlflowClient().search_registered_models() if model.name == fresh.name] == []


def test_somebody_else_who_promoted_meanwhile_is_not_overruled(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    fresh.register("good", champion_after="1")
    fresh.register("worse")
    with pytest.raises(PromotionRefusedError, match="champion is version 2 now, expected version 1"):
        make_champion(fresh.name, "3", replacing="1", because="compared with version 1")
    assert champion(fresh) == "2"
    assert version_of(fresh.name, "3").tags.get(REPLACES) is None


@pytest.mark.faults
def test_of_many_that_promote_at_once_exactly_one_wins(fresh: Fresh, tmp_path: Path) -> None:
    fresh.register("good", champion_after=None)
    versions = [fresh.register("good") for _ in range(2)]
    script = """if True:
        import sys
        from training.aliases import make_champion
        from training.errors import PromotionRefusedError
        from training.tracking import prepare_tracking
        prepare_tracking()
        try:
            make_champion(sys.argv[1], sys.argv[2], replacing="1", because="a race")
        except PromotionRefusedError:
            print("refused")
        else:
            print("won", sys.argv[2])
    """
    environment = {
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    started = [
        subprocess.Popen([sys.executable, "-c", script, fresh.name, version], env=environment, stdout=subprocess.PIPE, text=True)
        for version in versions
    ]
    said = [process.communicate(timeout=200)[0].split() for process in started]
    assert sorted(words[0] for words in said) == ["refused", "won"]
    winner = next(words[1] for words in said if words[0] == "won")
    assert champion(fresh) == winner
    assert fresh.aliases["previous"] == "1"


def test_a_shadow_is_set_replaced_and_removed(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    fresh.register("worse")
    assert set_shadow(fresh.product, "challenger") == "2"
    assert fresh.aliases == {"champion": "1", "challenger": "2", "shadow": "2"}
    assert set_shadow(fresh.product, "none") is None
    assert fresh.aliases == {"champion": "1", "challenger": "2"}
    with pytest.raises(UnknownVersionError, match="no version or alias 9, expected one of 1, 2, challenger, champion"):
        set_shadow(fresh.product, "9")


def test_what_the_product_no_longer_measures_is_neither_promoted_nor_shadow(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    fresh.register("good")
    catalogue = fresh.product.catalogue
    narrower = replace(fresh.product, catalogue=Catalogue(kinds=catalogue.kinds, features=catalogue.features[1:]))
    for attempt in (lambda: set_shadow(narrower, "2"), lambda: promote_version(narrower, fresh.home), lambda: load_model(narrower, "2")):
        with pytest.raises(ModelError, match="only in the model"):
            attempt()
    assert fresh.aliases == {"champion": "1", "challenger": "2"}


def test_a_model_of_another_product_is_not_found_here(fresh: Fresh) -> None:
    fresh.register("good", champion_after=None)
    assert load_model(fresh.product, f"models:/{fresh.name}@champion").label == "version 1"
    assert load_model(fresh.product, f"runs:/{fresh.run_id}").version is None
    with pytest.raises(UnknownVersionError, match="expected one of product"):
        load_model(fresh.product, "models:/stillhere-other/1")
