"""The bundle that an alias points at, as a source that is followed: the files that `serving.fetcher` keeps, never MLflow itself."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from features.core.product import Product
from models.bundle import MANIFEST, REGISTRATION, Bundle, load_bundle
from serving.adapters.model_registry import CURRENT, POINTERS, pointed_at, versions_here


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSource:
    """What an alias points at, verified, loaded and warm; None where it points at nothing.

    Where no registry was ever asked, the highest version here is the champion.
    """

    cache_dir: Path
    alias: str
    product: Product
    warm: Callable[[Bundle], None]  # scores once, so that the first request does not wait for what is made on first use

    def identity(self) -> str:
        """Hash of the manifest, which holds the hash of every other file, and of what the registry called it.

        Raises
        ------
        OSError, ValueError
            If the bundle that is named is not here.
        """
        folder = self._folder()
        if folder is None:
            return ""
        registration = folder / REGISTRATION
        named = registration.read_bytes() if registration.is_file() else b""
        return hashlib.sha256((folder / MANIFEST).read_bytes() + named).hexdigest()

    def load(self) -> Bundle | None:
        """Load it.

        Raises
        ------
        ModelError, OSError, ValueError
            If it is corrupt, or was trained on features that the product lacks.
        """
        folder = self._folder()
        if folder is None:
            return None
        bundle = load_bundle(folder, self.product)
        self.warm(bundle)
        return bundle

    def _folder(self) -> Path | None:
        pointer = self.cache_dir / POINTERS[self.alias]
        if pointer.is_file():
            return pointed_at(pointer)
        here = versions_here(self.cache_dir) if pointer.name == CURRENT else []
        return here[0] if here else None
