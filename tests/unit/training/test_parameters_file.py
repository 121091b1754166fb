"""Parameters survive their file, and mistakes in it are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.errors import BadInputError
from training.fit import FitParameters
from training.parameters_file import read_parameters, write_parameters


@pytest.mark.parametrize("parameters", [FitParameters(), FitParameters(num_leaves=9, positive_weight=None, n_seeds=3)])
def test_round_trip(parameters: FitParameters, tmp_path: Path) -> None:
    path = tmp_path / "new" / "tuned.json"
    write_parameters(path, parameters, about={"trials": 30})
    assert read_parameters(path) == parameters


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text('{"num_leaves": 7, "lambda_l2": 1}')
    assert read_parameters(path) == FitParameters(num_leaves=7, lambda_l2=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"leaves": 7}', "'leaves' is no parameter, expected some of"),
        ('{"num_leaves": 7.5}', "num_leaves is 7.5, expected a whole number"),
        ('{"num_leaves": true}', "num_leaves is True, expected a whole number"),
        ('{"learning_rate": "fast"}', "learning_rate is 'fast', expected a number"),
        ('{"learning_rate": null}', "learning_rate is None, expected a number"),
        ("[1]", "got a list, expected an object"),
        ("{", "expected a JSON file as `tune` writes it"),
    ],
)
def test_mistakes_are_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text(content)
    with pytest.raises(BadInputError, match=message):
        read_parameters(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"gone\.json"):
        read_parameters(tmp_path / "gone.json")
