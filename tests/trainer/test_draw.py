import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcas.errors import InvalidSpec
from rcas.evaluation import Draw
from rcas_trainer.draw import split

LABELS = [index % 3 for index in range(30)]


def test_the_draw_of_a_seed_never_changes() -> None:
    drawn = split(LABELS, 3, Draw(dataset="digits", validation_per_class=2, train_per_class=3, draw_seed=7))
    assert drawn.validation == [3, 4, 5, 14, 19, 24]
    assert drawn.train == [1, 2, 9, 16, 17, 18, 21, 23, 25]


@given(per_class=st.integers(1, 9), limit=st.none() | st.integers(1, 12), seed=st.integers(0, 2**32 - 1))
def test_a_draw_is_disjoint_and_the_same_for_every_class(per_class: int, limit: int | None, seed: int) -> None:
    draw = Draw(dataset="digits", validation_per_class=per_class, train_per_class=limit, draw_seed=seed)
    drawn = split(LABELS, 3, draw)
    assert not set(drawn.train) & set(drawn.validation)
    for label in range(3):
        assert sum(LABELS[index] == label for index in drawn.validation) == per_class
        assert sum(LABELS[index] == label for index in drawn.train) == min(10 - per_class, limit or 10)


def test_another_seed_draws_other_images_and_a_limit_keeps_the_validation_set() -> None:
    first, other = (split(LABELS, 3, Draw(dataset="digits", validation_per_class=3, draw_seed=s)) for s in (0, 1))
    fewer = split(LABELS, 3, Draw(dataset="digits", validation_per_class=3, draw_seed=0, train_per_class=1))
    assert first.validation != other.validation
    assert fewer.validation == first.validation
    assert set(fewer.train) < set(first.train)


@pytest.mark.parametrize(("labels", "classes"), [(LABELS, 3), (LABELS, 4)], ids=["none left", "empty class"])
def test_too_few_images_of_a_class_are_named(labels: list[int], classes: int) -> None:
    with pytest.raises(InvalidSpec, match=r"draw\.validation_per_class: got '10', allowed: fewer than the"):
        split(labels, classes, Draw(dataset="digits", validation_per_class=10))
