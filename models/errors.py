"""What can be wrong with a model; every message names what was got, what was expected and what to do."""

from __future__ import annotations


class ModelError(ValueError):
    """The model cannot be used; train again, or point to another bundle."""


class SignatureMismatchError(ModelError):
    """The model was trained on other features than this product declares now."""


class CorruptBundleError(ModelError):
    """A file of the bundle is missing or is not the one that training wrote."""


class NativeLibraryError(ModelError):
    """LightGBM's native library is missing or refused a call."""
