"""Drift of invariants, for a toy equation whose invariants are plain."""

import math

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from duhamel.fields import Boundary, Centring, Grid
from duhamel.metrics import invariant_drift

GRID = Grid(shape=(32,), extent=(2.0,), boundary=(Boundary.PERIODIC,), centring=Centring.NODE)


class Transport:
    """Keeps mass and energy of each state."""

    def invariants(self, u: Float[Tensor, "..."], grid: Grid) -> dict[str, Float[Tensor, "..."]]:
        (h,) = grid.spacing
        return {"mass": h * u.sum((-2, -1)), "energy": h * u.square().sum((-2, -1))}


def test_drift_is_relative_to_the_initial_value() -> None:
    initial = 1 + 0.5 * torch.sin(math.pi * GRID.coordinates()[0])[None, None]
    factors = torch.tensor([1.0, 1.1, 0.8], dtype=torch.float64)
    drift = invariant_drift(initial, factors[None, :, None, None] * initial[:, None], pde=Transport(), grid=GRID)
    assert drift["mass"].squeeze().tolist() == pytest.approx([0.0, 0.1, 0.2], abs=1e-14)
    assert drift["energy"].squeeze().tolist() == pytest.approx([0.0, 0.21, 0.36], abs=1e-14)


def test_drift_of_a_mass_that_cancels_is_measured_by_its_parts() -> None:
    initial = torch.sin(math.pi * GRID.coordinates()[0])[None, None]
    size = initial.abs().mean()
    drift = invariant_drift(initial, initial[:, None] + 0.01, pde=Transport(), grid=GRID)
    assert float(drift["mass"]) == pytest.approx(0.01 / float(size), rel=1e-12)


def test_translation_drifts_nowhere(generator: torch.Generator) -> None:
    initial = torch.randn(3, 1, 32, generator=generator, dtype=torch.float64)
    moved = torch.stack([initial.roll(shift, dims=2) for shift in (1, 5, 9)], dim=1)
    for drift in invariant_drift(initial, moved, pde=Transport(), grid=GRID).values():
        assert drift.shape == (3, 3)
        assert float(drift.max()) < 1e-13


def test_a_prediction_that_is_nan_drifts_by_nan() -> None:
    initial = torch.ones(1, 1, 32)
    drift = invariant_drift(initial, torch.full((1, 2, 1, 32), torch.nan), pde=Transport(), grid=GRID)
    assert drift["mass"].isnan().all()
