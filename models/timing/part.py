"""The timing part of a bundle, ``timing.json``: hazard, habit and, where delays were randomised, response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.errors import ModelError
from models.timing.hazard import HazardModel
from models.timing.receptivity import Receptivity
from models.timing.response import ResponseModel


@dataclass(frozen=True, kw_only=True)
class TimingModel:
    """What serving needs to draw the benefit curve of a user."""

    hazard: HazardModel
    receptivity: Receptivity
    response: ResponseModel | None = None  # None where no delay was ever drawn at random: then no slot is known to be better

    def to_json(self) -> dict[str, Any]:
        """Content of ``timing.json``, LightGBM's texts included."""
        return {
            "hazard": self.hazard.to_json() | {"model_text": self.hazard.model_text},
            "receptivity": self.receptivity.to_json(),
            "response": None if self.response is None else self.response.to_json(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], n_inputs: int) -> TimingModel:
        """Invert `to_json`.

        Raises
        ------
        ModelError
            If it was learned on other inputs than the risk model beside it has.
        """
        hazard, response = content["hazard"], content["response"]
        model = cls(
            hazard=HazardModel.from_json(hazard, hazard["model_text"]),
            receptivity=Receptivity.from_json(content["receptivity"]),
            response=None if response is None else ResponseModel.from_json(response),
        )
        widths = {model.hazard.n_inputs} | ({model.response.n_inputs} if model.response else set())
        if widths != {n_inputs}:
            raise ModelError(f"timing.json was learned on {sorted(widths)} inputs, the model beside it has {n_inputs}; train again")
        return model
