"""A product's feature store, registered as its declarations say."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import feast
from feast import FeatureStore, RepoConfig
from feast.repo_config import RegistryConfig

from features.adapters.behaviour import behaviour_source
from features.adapters.feast_objects import FeastObjects, declare, ensure_offline_files
from features.adapters.feast_online_store import TimelineOnlineStoreConfig
from features.core.product import Product
from features.home import Home


def open_store(product: Product, home: Home, redis_url: str, *, key_ttl_s: int | None = None, timeout_s: float = 2.0) -> FeatureStore:
    """The product's Feast feature store, registered as its declarations say; needs no running Redis.

    Registering is done only if something declared has changed, by one process at a time. The registry is then read once and not again on
    the path of a request.

    Parameters
    ----------
    key_ttl_s
        A user nothing was written for this long is forgotten online; None: never. The raw log keeps everything.
    timeout_s
        Of one Redis command.
    """
    home.feast_dir(product.name).mkdir(parents=True, exist_ok=True)
    with _locked(home.feast_dir(product.name) / "register.lock"):
        ensure_offline_files(product, home)
        _register(declare(product, home), product, home)
    online = TimelineOnlineStoreConfig(redis_url=redis_url, key_ttl_seconds=key_ttl_s, timeout_s=timeout_s)
    store = FeatureStore(config=_config(product, home.registry_file(product.name), online))
    store.refresh_registry()
    return store


def _config(product: Product, registry: Path, online: TimelineOnlineStoreConfig | None) -> RepoConfig:
    return RepoConfig(
        project=product.name,
        provider="local",
        # A time to live of 0 means for ever: a refresh in a request would be a spike of tens of milliseconds.
        registry=RegistryConfig(path=str(registry.absolute()), cache_ttl_seconds=0),
        online_store=online,
        offline_store={"type": "duckdb"},
        entity_key_serialization_version=3,
    )


def _register(objects: FeastObjects, product: Product, home: Home) -> None:
    """Apply to a copy of the registry and put that in its place: Feast writes in place, and another process may be reading."""
    registry = home.registry_file(product.name)
    stamp = registry.with_name("registered.sha256")
    digest = _digest(objects, product)
    if registry.exists() and stamp.exists() and stamp.read_text() == digest:
        return
    copy = registry.with_name("registry.new")
    copy.unlink(missing_ok=True)
    if registry.exists():
        shutil.copyfile(registry, copy)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "On demand feature view is an experimental feature", RuntimeWarning)
        FeatureStore(config=_config(product, copy, TimelineOnlineStoreConfig(redis_url="redis://unused"))).apply(objects.all())
    copy.replace(registry)
    stamp.write_text(digest)


def _digest(objects: FeastObjects, product: Product) -> str:
    views = [view for view in (objects.timeline, objects.profile, objects.snapshots) if view is not None]
    content = [_definition(view) for view in views]
    described = "".join(f"{feature.name}: {feature.description}\n" for feature in product.catalogue.features)
    content += [behaviour_source(product.catalogue).encode(), described.encode(), product.description.encode(), feast.__version__.encode()]
    return hashlib.sha256(b"\0".join(content)).hexdigest()


def _definition(view: feast.FeatureView) -> bytes:
    spec = view.to_proto().spec
    if spec.HasField("batch_source"):
        spec.batch_source.ClearField("meta")  # when it was declared: now
    definition: bytes = spec.SerializeToString(deterministic=True)
    return definition


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
