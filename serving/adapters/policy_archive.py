"""Every policy that ever decided, by hash: in files, or in memory for tests and trials."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from features.ingest.durable import flush_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePolicyArchive:
    """One file ``<hash>.json`` for each policy; whole or absent, and on the disk before the policy decides anything."""

    directory: Path  # made on the first save

    def save(self, policy_hash: str, document: bytes) -> None:
        """Keep the document; saving it again changes nothing."""
        file = self._file(policy_hash)
        if file.exists():
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(f".{os.getpid()}.tmp")
        with unfinished.open("wb") as sink:
            sink.write(document)
            sink.flush()
            os.fsync(sink.fileno())
        unfinished.replace(file)
        flush_folder(self.directory)

    def load(self, policy_hash: str) -> bytes | None:
        """The document, or None."""
        file = self._file(policy_hash)
        return file.read_bytes() if file.is_file() else None

    def _file(self, policy_hash: str) -> Path:
        return self.directory / f"{Path(policy_hash).name}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPolicyArchive:
    """The twin that tests and trials use."""

    documents: dict[str, bytes] = field(default_factory=dict)

    def save(self, policy_hash: str, document: bytes) -> None:
        """Keep the document; saving it again changes nothing."""
        self.documents.setdefault(policy_hash, document)

    def load(self, policy_hash: str) -> bytes | None:
        """The document, or None."""
        return self.documents.get(policy_hash)
