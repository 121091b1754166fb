"""What a run was made from: fingerprints of the log, the rows, the features and the policy, and the rows as data sets of MLflow."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from features.core.product import Product
from features.declarations.yaml_file import DeclarationError
from training.frame import OUTCOME, TrainingFrame

if TYPE_CHECKING:
    from serving.decision.policy import Policy

DATA, ROWS, FEATURES, POLICY = (
    f"stillhere.{name}" for name in ("data_fingerprint", "rows_fingerprint", "feature_fingerprint", "policy_hash")
)
"""Tags of a run: of the raw log, of the rows made from it, of the product's features, of the policy beside the product."""

UNREADABLE = "cannot be read"
"""Instead of a policy's hash."""


def note_product(product: Product, product_dir: Path | None) -> None:
    """Tag the active run with the product's name, its features and, where the folder has one, its policy."""
    import mlflow

    tags = {"stillhere.product": product.name, FEATURES: product.catalogue.fingerprint}
    try:
        policy = policy_of(product, product_dir)
    except DeclarationError:  # whoever needs the policy says what is wrong with it
        tags |= {POLICY: UNREADABLE}
    else:
        tags |= {} if policy is None else {POLICY: policy.hash}
    mlflow.set_tags(tags)


def policy_of(product: Product, product_dir: Path | None) -> Policy | None:
    """The policy that stands beside the product now; None without one."""
    if product_dir is None or not (product_dir / "policy.yaml").is_file():
        return None
    from serving.policy_file import load_policy

    return load_policy(product_dir / "policy.yaml", product)


def note_rows(frame: TrainingFrame, context: str, source: Path) -> None:
    """Tag the active run with the log and the rows that were made from it, and log the rows as a data set."""
    import mlflow

    mlflow.set_tags({DATA: frame.data_fingerprint, ROWS: frame.fingerprint()})
    log_data(frame, context, source)


def log_data(frame: TrainingFrame, context: str, source: Path) -> None:
    """Log rows as one of the run's data sets, with their fingerprint as its digest."""
    log_table(frame.rows, f"{frame.product.name}-{context}", source, digest=frame.fingerprint())


def log_table(rows: pd.DataFrame, name: str, source: Path, *, digest: str = "", targets: str = OUTCOME) -> None:
    """Log any rows as one of the run's data sets; without a digest, `fingerprint_of` them."""
    import mlflow
    from mlflow.data.pandas_dataset import from_pandas
    from mlflow.data.sources import LocalArtifactDatasetSource

    where = LocalArtifactDatasetSource(str(source.absolute()))
    known = targets if targets in rows.columns else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*integer column", UserWarning)  # MLflow's advice to models; these rows are a record
        dataset = from_pandas(rows, source=where, targets=known, name=name, digest=digest or fingerprint_of(rows))
    mlflow.log_input(dataset, context=name.rpartition("-")[2])


def fingerprint_of(rows: pd.DataFrame) -> str:
    """16 hex digits over the whole content of the rows.

    Examples
    --------
    >>> rows = pd.DataFrame({"user_id": ["a", "b"], "risk": [0.1, 0.2]})
    >>> fingerprint_of(rows) == fingerprint_of(rows.copy()), fingerprint_of(rows) == fingerprint_of(rows.iloc[::-1])
    (True, False)
    """
    hashes = pd.util.hash_pandas_object(rows, index=False).to_numpy()
    return hashlib.sha256(hashes.tobytes() + ",".join(rows.columns).encode()).hexdigest()[:16]
