"""Conjugate gradients over a batch: a sample that is done, or beyond rescue, leaves the others alone and says so."""

import math

import pytest
import torch

from duhamel.pdes import Darcy
from duhamel.solvers import conjugate_gradients, solve_diffusion


def test_a_sample_without_a_residual_stands_still_while_others_go_on() -> None:
    diagonals = torch.tensor([[2.0, 2.0, 2.0, 2.0], [1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)
    b = torch.ones_like(diagonals)
    done = conjugate_gradients(lambda x: diagonals * x, b, precondition=lambda r: r, tolerance=1e-12, max_iterations=10)
    assert torch.equal(done.iterations, torch.tensor([1, 4])), "the first system is solved exactly in one step"
    torch.testing.assert_close(done.x, b / diagonals, atol=1e-14, rtol=0)
    assert done.converged.all() and (done.residual <= 1e-12).all()


def test_what_is_not_finite_has_not_converged() -> None:
    grid = Darcy().grid((8, 8))
    one = torch.ones(2, 8, 8, dtype=torch.float64)
    broken = torch.stack([one[0], torch.full_like(one[1], math.nan)])
    for f, guess in ((broken, None), (one, broken)):
        with pytest.raises(ValueError, match="sample 1: relative residual nan"):
            solve_diffusion(one, f, grid, guess=guess)
