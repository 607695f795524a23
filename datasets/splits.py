"""Which trajectories train, validate and test."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Split:
    """Indices of trajectories, the same in every file of a data set.

    Files of one benchmark that differ in a parameter share their initial states, trajectory by trajectory: a split
    that took (file, trajectory) pairs apart would test on initial states it had trained on.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    test: tuple[int, ...]
    fractions: tuple[float, float, float]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, to be stored with a trained model."""
        return {
            "seed": self.seed,
            "fractions": list(self.fractions),
            "train": list(self.train),
            "validation": list(self.validation),
            "test": list(self.test),
        }


def require_fractions(fractions: tuple[float, ...]) -> None:
    """ValueError unless they are those of three parts."""
    if len(fractions) != 3 or min(fractions) < 0 or not np.isclose(sum(fractions), 1.0, rtol=0, atol=1e-9):
        raise ValueError(f"fractions of train, validation and test must be three, >= 0, of sum 1, got {fractions}")


def split_by_index(n_trajectories: int, fractions: tuple[float, float, float], *, seed: int) -> Split:
    """A random split of indices 0, ..., n_trajectories - 1; the order inside each part is random too.

    A part whose fraction is 0 is empty; one whose fraction is positive never is: that raises ValueError.

    >>> split = split_by_index(10, (0.8, 0.1, 0.1), seed=0)
    >>> len(split.train), len(split.validation), len(split.test)
    (8, 1, 1)
    """
    require_fractions(fractions)
    # Largest remainders first: every part is within one trajectory of its fraction.
    shares = [n_trajectories * fraction for fraction in fractions]
    sizes = [int(share) for share in shares]
    for i in sorted(range(3), key=lambda i: sizes[i] - shares[i])[: n_trajectories - sum(sizes)]:
        sizes[i] += 1
    order = tuple(np.random.default_rng(seed).permutation(n_trajectories).tolist())
    ends = (sizes[0], sizes[0] + sizes[1])
    parts = (order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] :])
    for name, part, fraction in zip(("training", "validation", "test"), parts, fractions, strict=True):
        if fraction > 0 and not part:
            otherwise = ", or fraction 0 and test files of their own (`dataset.tests`)" if name == "test" else ""
            raise ValueError(
                f"the {name} part is empty: fraction {fraction} of {n_trajectories} trajectories; give it a larger "
                f"fraction or more data{otherwise}"
            )
    return Split(train=parts[0], validation=parts[1], test=parts[2], fractions=fractions, seed=seed)
