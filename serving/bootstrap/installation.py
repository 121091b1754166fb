"""One product over one Redis, and what it is made of: the settings, every adapter, the model."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from features.core.product import Product
from features.declarations.product_file import load_product
from features.home import Home
from serving.decision.policy import Policy
from serving.policy_file import load_policy
from serving.settings import Settings, SettingsError, read_settings

if TYPE_CHECKING:
    from features.ingest.import_log import ImportTarget
    from models.bundle import Bundle
    from serving.erasure import Erasure
    from serving.ports import Scorer
    from serving.replay import Replayer
    from serving.use_case import DecisionService

_log = logging.getLogger(__name__)

_WORKER_TIMEOUT_S = 10.0  # the worker waits rather than fails: nobody waits for it
_SQLITE = "sqlite:///"


def settings_from_environment(*, product: Path | None = None, home: Path | None = None) -> Settings:
    """Read the settings from the environment; what is given here counts more.

    Raises
    ------
    SettingsError
        Naming the variable that cannot be used.
    """
    settings = read_settings(os.environ)
    if product is not None:
        settings = replace(settings, product_folder=product)
    return settings if home is None else replace(settings, home=Home(home))


@dataclass(frozen=True, kw_only=True)
class Installation:
    """One product over one Redis: every adapter, made when first asked for.

    Raises
    ------
    DeclarationError
        If product.yaml or policy.yaml is wrong.
    """

    settings: Settings
    redis_url: str
    timeout_s: float  # of one call to Redis
    asks_registry: bool = True  # False: the model that was last served here is good enough, if there is one

    @cached_property
    def product(self) -> Product:
        """What ``product.yaml`` declares."""
        return load_product(self.settings.product_folder)

    @cached_property
    def policy(self) -> Policy:
        """What ``policy.yaml`` declares."""
        return load_policy(self.settings.product_folder / "policy.yaml", self.product)

    @cached_property
    def client(self) -> Any:
        """Redis, for ledger and stream."""
        from serving.adapters.redis_ledger import connect

        return connect(self.redis_url, timeout_ms=int(self.timeout_s * 1000))

    @cached_property
    def ledger(self) -> Any:
        """Contacts, receipts and outbox."""
        from serving.adapters.redis_ledger import RedisLedger

        return RedisLedger(client=self.client, require_durable=self._require_durable_ledger, identities=self.identities)

    @cached_property
    def stream(self) -> Any:
        """Accepted events on their way to the timelines."""
        from serving.adapters.event_stream import RedisEventStream

        asks_consent = self.product.collection is not None
        return RedisEventStream(self.client, product=self.product.name, partitions=self.settings.partitions, one_order=asks_consent)

    @cached_property
    def archive(self) -> Any:
        """Every policy that ever decided."""
        from serving.adapters.policy_archive import FilePolicyArchive

        return FilePolicyArchive(directory=self.settings.home.policies_dir)

    @cached_property
    def timelines(self) -> Any:
        """Live timelines in Feast's online store."""
        from features.adapters.feast_store import FeastTimelineStore
        from features.ingest.unified import UnifiedTimelineStore

        kinds = self.product.catalogue.kinds
        inner = FeastTimelineStore(self.feature_store, kinds=kinds, clock_us=now_us)
        return UnifiedTimelineStore(inner=inner, identities=self.identities, kinds=kinds)

    @cached_property
    def profiles(self) -> Any:
        """Profile attributes of persons."""
        from features.ingest.unified import UnifiedProfileStore

        return UnifiedProfileStore(inner=self.stored_profiles, identities=self.identities)

    @cached_property
    def stored_profiles(self) -> Any:
        """Profile attributes in Feast's online store, under the id they came with or were carried to."""
        from features.adapters.feast_store import FeastProfileStore

        return FeastProfileStore(self.feature_store, self.product)

    @cached_property
    def raw_log(self) -> Any:
        """Every admitted event, for ever."""
        from features.adapters.raw_log import ParquetRawLog
        from features.ingest.unified import GuardedRawLog

        inner = ParquetRawLog(self.settings.home.raw_dir(self.product.name))
        return GuardedRawLog(inner=inner, identities=self.identities)

    @cached_property
    def identities(self) -> Any:
        """Which ids stand for whom, and which were erased."""
        from features.adapters.redis_identities import RedisIdentityStore

        return RedisIdentityStore(self.client, product=self.product.name)

    @cached_property
    def people(self) -> Any:
        """All that a decision reads, in one round trip."""
        from features.adapters.feast_rows import FeastRows
        from serving.adapters.person_store import RedisPersonStore

        rows = FeastRows(self.feature_store, self.product)
        return RedisPersonStore(product=self.product.name, identities=self.identities, ledger=self.ledger, rows=rows)

    @cached_property
    def attacher(self) -> Any:
        """Carries out aliases."""
        from features.adapters.alias_log import ParquetAliasLog
        from features.ingest.unified import GuardedAliasLog
        from serving.identity import Attacher

        name = self.product.name
        log = GuardedAliasLog(inner=ParquetAliasLog(self.settings.home.aliases_dir(name)), identities=self.identities)
        stores = {"timelines": self.timelines, "profiles": self.profiles, "contacts": self.ledger}
        return Attacher(product=name, identities=self.identities, log=log, **stores)

    @cached_property
    def exporter(self) -> Any:
        """Copies receipts to Parquet, and has the challenger score them."""
        from serving.adapters.receipt_export import ReceiptExporter
        from serving.bootstrap.following import shadow

        name = self.product.name
        receipts_dir = self.settings.home.receipts_dir(name)
        places = {"client": self.client, "receipts_dir": receipts_dir, "identities": self.identities}
        return ReceiptExporter(product=name, shadow=shadow(self), **places)

    @cached_property
    def ledger_of_users(self) -> Any:
        """The ledger's contents by user, for listing and erasing."""
        from serving.adapters.redis_erasure import LedgerOfUsers

        return LedgerOfUsers(client=self.client, product=self.product.name)

    def erasure(self) -> Erasure:
        """Make what erases persons."""
        from features.adapters.erase_files import ProductFiles
        from serving.adapters.redis_erasure import StreamOfUsers, compact
        from serving.erasure import Erasure

        name, home = self.product.name, self.settings.home
        folders = {"raw_dir": home.raw_dir(name), "rejected_dir": home.rejected_dir(name), "incoming_dir": home.incoming_dir(name)}
        files = ProductFiles(product_dir=home.product_dir(name), **folders)
        places = {
            "ledger": self.ledger_of_users,
            "waiting messages": StreamOfUsers(client=self.client, product=name),
            "timelines and profiles": self.timelines,
            "files": files,
        }
        return Erasure(identities=self.identities, places=places, compact=lambda: compact(self.client))

    @cached_property
    def program(self) -> Any:
        """The catalogue, compiled for the kernel."""
        from features.core.program import compile_program

        return compile_program(self.product.catalogue)

    @cached_property
    def scorer(self) -> Bundle | None:
        """The champion; None where none was trained, or none that fits the features: decisions are then made without."""
        return self._usable(champion_folder(self.product, self.settings.home, ask_registry=self.asks_registry))

    @property
    def local_scorer(self) -> Bundle | None:
        """The last verified model that is here, loaded anew; no registry is asked."""
        from serving.adapters.model_registry import newest_local

        return self._usable(newest_local(self.settings.home.bundles_dir(self.product.name)))

    @cached_property
    def feature_store(self) -> Any:
        """Feast's, over this Redis."""
        from features.adapters.feast_store import open_store

        return open_store(self.product, self.settings.home, self.redis_url, timeout_s=self.timeout_s)

    def decisions(self) -> DecisionService:
        """Make the use case over all of it."""
        return self.decisions_by(self.policy, self.scorer)

    def decisions_by(self, policy: Policy, scorer: Scorer | None) -> DecisionService:
        """Make the use case over all of it, with another policy and another model."""
        from serving.identity import FollowingLedger
        from serving.use_case import DecisionService

        return DecisionService(
            product=self.product,
            policy=policy,
            scorer=scorer,
            people=self.people,
            ledger=FollowingLedger(inner=self.ledger, contact_book=self.ledger, identities=self.identities),
            program=self.program,
            archive=self.archive,
        )

    def replayer(self, model_version: str | None = None) -> Replayer:
        """Make what replays receipts, with the model of that version if it is still here, else with the champion."""
        from serving.replay import Replayer

        scorer = self.scorer_of(model_version) if model_version else self.scorer
        return Replayer(archive=self.archive, ledger=self.ledger, scorer=scorer, program=self.program)

    def scorer_of(self, version: str) -> Bundle | None:
        """Load the model of a version ("onboarding/3") that was served here; None if its bundle is gone."""
        if self.scorer is not None and self.scorer.version == version:
            return self.scorer
        folder = self.settings.home.bundles_dir(self.product.name) / version.rsplit("/", 1)[-1]
        return self._usable(folder if (folder / "manifest.json").is_file() else None)

    def import_target(self) -> ImportTarget:
        """Where imports put what they admit."""
        from features.ingest.import_log import ImportTarget

        home, name = self.settings.home, self.product.name
        labels_dir = home.labels_file(name, "any").parent
        return ImportTarget(
            raw_log=self.raw_log,
            timelines=self.timelines,
            profiles=self.profiles,
            labels_dir=labels_dir,
            rejected_dir=home.rejected_dir(name),
            identities=self.identities,
        )

    def require_durable_redis(self) -> None:
        """Refuse a Redis that may lose caps and receipts.

        Raises
        ------
        StoreError
            Naming what is wrong with it.
        """
        from features.adapters.durability import check_durable

        check_durable(self.client)

    def refuse_forgetful_redis(self) -> None:
        """As `require_durable_redis`, but a Redis that is away for the moment passes: the ledger asks again before it is used.

        Raises
        ------
        NotDurableError
            Naming what is wrong with it.
        """
        from features.adapters.durability import NotDurableError
        from features.ports import StoreError

        try:
            self.require_durable_redis()
        except NotDurableError:
            self.close()
            raise
        except StoreError as exc:
            _log.warning("deciding nothing until Redis answers: %s", exc)

    def _require_durable_ledger(self) -> None:
        from features.ports import StoreError
        from serving.ports import LedgerError

        try:
            self.require_durable_redis()
        except StoreError as exc:
            raise LedgerError(str(exc)) from exc

    def close(self) -> None:
        """Close connections."""
        self.client.close()

    def _usable(self, folder: Path | None) -> Bundle | None:
        from models.bundle import load_bundle
        from models.errors import ModelError

        if folder is None:
            _log.warning("no model of %s is here; deciding without a risk until one is trained", self.product.name)
            return None
        try:
            return load_bundle(folder, self.product)
        except ModelError:
            _log.exception("the model in %s cannot be used; deciding without a risk", folder)
            return None


def installation(settings: Settings, redis_url: str, *, timeout_s: float = _WORKER_TIMEOUT_S, asks_registry: bool = True) -> Installation:
    """Put an installation together; nothing is opened yet."""
    return Installation(settings=settings, redis_url=redis_url, timeout_s=timeout_s, asks_registry=asks_registry)


def now_us() -> int:
    """Read the clock: microseconds since the Unix epoch."""
    return time.time_ns() // 1_000


def required_redis_url(settings: Settings) -> str:
    """Take the address of the Redis that whoever started this process set.

    Raises
    ------
    SettingsError
        If nobody did.
    """
    if settings.redis_url is None:
        raise SettingsError("STILLHERE_REDIS_URL is not set, expected the address of a Redis; `stillhere serve` starts one and sets it")
    return settings.redis_url


def has_registry(environ: Mapping[str, str]) -> bool:
    """Whether there is an MLflow to ask: asking makes an empty database where there is none, and importing MLflow takes seconds."""
    uri = environ.get("MLFLOW_TRACKING_URI", "")
    if uri and not uri.startswith(_SQLITE):
        return True
    return Path(uri.removeprefix(_SQLITE) or "mlflow.db").exists()


def champion_folder(product: Product, home: Home, *, ask_registry: bool) -> Path | None:
    """Folder of the champion's verified bundle, from the registry or the last one served here."""
    from serving.adapters.model_registry import fetch_champion, newest_local

    bundles_dir = home.bundles_dir(product.name)
    local = None if ask_registry else newest_local(bundles_dir)
    if local is not None:
        return local
    return fetch_champion(product.name, bundles_dir) if has_registry(os.environ) else newest_local(bundles_dir)
