import pytest

from features.core.catalogue import Aggregation, Catalogue, Feature, Kind
from features.core.parts import UnknownKindError, parts_of

KINDS = (Kind(name="login"), Kind(name="view", subject="page"))


def feature(*kinds: str, to: tuple[str, ...] = ()) -> Feature:
    return Feature(aggregation=Aggregation.RATIO, of="x", kinds=kinds, to="y", to_kinds=to)


def test_both_sides_of_a_feature_divide_kinds() -> None:
    parts = parts_of(Catalogue(kinds=KINDS, features=(feature("view/b"), feature("login", to=("view/a", "view")))))
    assert parts.about == ("view/a", "view/b")
    assert parts.kind == (0, 1, 1, 1)
    assert parts.chosen(["view"]) == (1, 2, 3)
    assert parts.chosen(["view/b", "login", "view/b"]) == (0, 3)
    assert parts.part("view", "b") == 3
    assert parts.part("login", "b") == 0


def test_a_subject_may_have_slashes() -> None:
    parts = parts_of(Catalogue(kinds=KINDS, features=(feature("view/docs/start"),)))
    assert parts.subjects == ("docs/start",)
    assert parts.part("view", "docs/start") == 2


@pytest.mark.parametrize("unknown", [feature("hover/a"), feature("login", to=("hover",))])
def test_an_unknown_kind_is_found_behind_a_subject_and_behind_to(unknown: Feature) -> None:
    with pytest.raises(UnknownKindError, match=r"kinds: got hover, expected kinds of the product \(login, view\)"):
        parts_of(Catalogue(kinds=KINDS, features=(unknown,)))
