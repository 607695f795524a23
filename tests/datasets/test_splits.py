"""No trajectory is on two sides of a split, in no file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duhamel.datasets import open_source
from duhamel.datasets.family import check_family, check_same_kind, check_unseen, content_hash
from duhamel.datasets.splits import split_by_index


@given(n=st.integers(24, 300), seed=st.integers(0, 2**31), parts=st.tuples(*[st.integers(1, 8)] * 3))
def test_parts_are_a_partition(n: int, seed: int, parts: tuple[int, int, int]) -> None:
    fractions = tuple(p / sum(parts) for p in parts)
    split = split_by_index(n, fractions, seed=seed)  # type: ignore[arg-type]
    assert sorted(split.train + split.validation + split.test) == list(range(n))
    for part, fraction in zip((split.train, split.validation, split.test), fractions, strict=True):
        assert abs(len(part) - fraction * n) < 1
    assert split == split_by_index(n, fractions, seed=seed)  # type: ignore[arg-type]


def test_seeds_differ() -> None:
    assert len({split_by_index(30, (0.8, 0.1, 0.1), seed=seed).test for seed in range(10)}) == 10


@pytest.mark.parametrize("fractions", [(0.5, 0.5, 0.5), (1.1, -0.1, 0.0), (0.9, 0.2, 0.0)])
def test_fractions_must_add_up(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="of sum 1"):
        split_by_index(10, fractions, seed=0)


def test_an_empty_part_is_an_error_only_if_it_was_asked_for() -> None:
    with pytest.raises(
        ValueError, match=r"the validation part is empty: fraction 0.1 of 3 .*larger fraction or more data$"
    ):
        split_by_index(3, (0.9, 0.1, 0.0), seed=0)
    with pytest.raises(ValueError, match=r"the test part is empty: .* or fraction 0 and test files of their own"):
        split_by_index(3, (0.9, 0.0, 0.1), seed=0)
    assert split_by_index(3, (1.0, 0.0, 0.0), seed=0).test == ()


def test_hash_follows_content_not_names(burgers_like: Callable[..., Path]) -> None:
    a, b = burgers_like("a.hdf5"), burgers_like("b.hdf5")
    b.write_bytes(a.read_bytes())
    assert content_hash([a]) == content_hash([b])
    changed = burgers_like("c.hdf5", attrs={"Nu": 0.11})
    assert content_hash([a]) != content_hash([changed])
    assert content_hash([a, changed]) != content_hash([changed, a])
    values = np.arange(6 * 11 * 16.0).reshape(6, 11, 16)
    before = content_hash([burgers_like("d.hdf5", values=values)])
    values[3, 5, 2] += 1
    assert content_hash([burgers_like("d.hdf5", values=values)]) != before


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"n": 32}, "grid"),
        ({"n_times": 10}, "number of states"),
        ({"attrs": {"beta": 1.0}}, "channels"),
        ({"attrs": {"Nu": 1.0, "rho": 1.0}}, "channels"),
        ({"dt": 0.02}, "dt"),
    ],
)
def test_files_that_do_not_belong_together_are_both_named(
    burgers_like: Callable[..., Path], options: dict[str, object], what: str
) -> None:
    sources = [open_source(burgers_like("a.hdf5")), open_source(burgers_like("b.hdf5", **options))]
    with pytest.raises(ValueError, match=rf"must share {what}.*a.hdf5 has .*b.hdf5 has"):
        check_family(sources)
    if what in ("grid", "number of states"):
        check_same_kind(*sources)


@pytest.mark.parametrize("domain", [(0.0, 7.0), (-1.0, 0.0), (0.0, 0.85), (-0.2, 1.2)])
def test_files_on_other_domains_are_refused_with_both_domains(
    burgers_like: Callable[..., Path], domain: tuple[float, float]
) -> None:
    coarse = open_source(burgers_like("a.hdf5"))
    other = open_source(burgers_like("b.hdf5", n=32, domain=domain))
    numbers = rf"the domain.* axis 0: .*a.hdf5 has \(.*, 1.0\d*\), .*b.hdf5 has \({domain[0]:g}.*, .*\)"
    with pytest.raises(ValueError, match=numbers):
        check_same_kind(coarse, other)


def test_domains_that_striding_shortened_are_the_same(burgers_like: Callable[..., Path]) -> None:
    """As neuraloperator's Darcy files at 16 and 32 points, of lengths 0.929 and 0.960."""
    coarse = open_source(burgers_like("a.hdf5"))
    for domain in ((0.0, 1.12), (-0.06, 1.06), (0.0, 0.89)):
        check_same_kind(coarse, open_source(burgers_like("b.hdf5", n=64, domain=domain)))


def test_a_test_file_that_trains_is_found_under_any_name(burgers_like: Callable[..., Path], tmp_path: Path) -> None:
    train, other = burgers_like("a.hdf5"), burgers_like("b.hdf5", attrs={"Nu": 0.2})
    check_unseen([other], [train])
    (tmp_path / "link.hdf5").symlink_to(train)
    (tmp_path / "copy.hdf5").write_bytes(train.read_bytes())
    for name in ("a.hdf5", "link.hdf5", "copy.hdf5", "../" + tmp_path.name + "/a.hdf5"):
        with pytest.raises(ValueError, match=rf"test file .*{name} has the content of .*a.hdf5, which trains"):
            check_unseen([other, tmp_path / name], [other.with_name("a.hdf5")])
