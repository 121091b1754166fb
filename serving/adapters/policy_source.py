"""``policy.yaml`` as a source that is followed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from features.core.product import Product
from features.declarations.yaml_file import DeclarationError
from serving.decision.policy import Policy
from serving.policy_file import load_policy


@dataclass(slots=True, kw_only=True)
class PolicySource:
    """The policy that the file declares at the moment; what was refused once is not read again until the file says something else."""

    file: Path
    product: Product
    _refused: dict[str, DeclarationError] = field(default_factory=dict)  # the last one, by identity

    def identity(self) -> str:
        """Hash of the file's bytes.

        Raises
        ------
        OSError
            If there is no file, or it cannot be read.
        """
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def load(self) -> Policy:
        """Read and check it; takes tens of milliseconds.

        Raises
        ------
        DeclarationError
            Naming each fault.
        """
        identity = self.identity()
        if identity in self._refused:
            raise self._refused[identity]
        try:
            return load_policy(self.file, self.product)
        except DeclarationError as exc:
            if self.identity() == identity:  # else it was changed while it was read
                self._refused = {identity: exc}
            raise
