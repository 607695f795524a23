"""What every equation of the registry promises."""

import math
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from duhamel.fields import GaussianField, LogNormalField
from duhamel.pdes import (
    EQUATIONS,
    PDE,
    Burgers,
    Darcy,
    LogUniform,
    Lorenz96,
    Lorenz96TwoLevel,
    NavierStokes,
    Uniform,
)

SHAPES = {
    "advection": (32,),
    "burgers": (32,),
    "compressible_navier_stokes": (12, 10),
    "darcy": (12, 10),
    "diffusion_sorption": (32,),
    "euler": (12, 10),
    "fisher_kpp": (12, 10),
    "fitzhugh_nagumo": (12, 10),
    "heat": (6, 5, 4),
    "helmholtz": (11, 9),
    "kdv": (32,),
    "kuramoto_sivashinsky": (32,),
    "allen_cahn": (32,),
    "lorenz96": (8,),
    "lorenz96_two_level": (6,),
    "navier_stokes": (32, 32),
    "nonlinear_schroedinger": (32,),
    "wave": (10, 12),
    "poisson": (12, 10),
    "shallow_water": (12, 10),
}
# Whose parameters are PDEBench's constants.
CONSTANT = {"diffusion_sorption"}
CONF = Path(__file__).parents[2] / "conf" / "pde"


@pytest.mark.parametrize("name", EQUATIONS)
def test_samples_match_the_problem(name: str) -> None:
    pde = EQUATIONS[name]()
    grid = pde.grid(SHAPES[name])
    problem = pde.problem(grid, 0.1)
    assert problem.equation == name
    generator = torch.Generator().manual_seed(0)
    u0, params = pde.sample_initial(grid, 6, generator), pde.sample_params(grid, 6, generator)
    assert u0.shape == (6, len(problem.channels), *grid.shape) and u0.dtype is torch.float64
    assert params.scalars.shape == (6, len(problem.scalars))
    assert params.fields.shape == (6, len(problem.coefficients), *grid.shape)
    for i, quantity in enumerate(problem.scalars):
        assert ((params.scalars[:, i] >= quantity.minimum) & (params.scalars[:, i] <= quantity.maximum)).all()
        own = 1 if name in CONSTANT else 6
        assert len(params.scalars[:, i].unique()) == own, "every sample must have a parameter of its own"
    for i, quantity in enumerate(problem.coefficients):
        assert ((params.fields[:, i] > quantity.minimum) & (params.fields[:, i] <= quantity.maximum)).all()
    again = torch.Generator().manual_seed(0)
    assert torch.equal(pde.sample_initial(grid, 6, again), u0)
    assert torch.equal(pde.sample_params(grid, 6, again).fields, params.fields)


@pytest.mark.parametrize("name", EQUATIONS)
def test_the_configuration_builds_the_defaults(name: str) -> None:
    pde = instantiate(OmegaConf.load(CONF / f"{name}.yaml"))
    assert isinstance(pde, PDE)
    assert vars(pde) == vars(EQUATIONS[name]())


def test_the_vorticity_of_the_neural_operator_paper_has_the_amplitude_of_its_code(generator: torch.Generator) -> None:
    """RMS 0.185; with the exponent that the paper prints it would be 0.043."""
    pde = NavierStokes()
    grid = pde.grid((64, 64))
    variance = pde.initial.standard_deviations(grid).square().sum()
    assert float(variance.sqrt()) == pytest.approx(0.185, rel=5e-3)
    u = pde.sample_initial(grid, 200, generator)
    assert float(u.square().mean().sqrt()) == pytest.approx(float(variance.sqrt()), rel=0.05)
    assert u.mean(dim=(2, 3)).abs().max() < 1e-13


@pytest.mark.parametrize("kind", [Lorenz96, Lorenz96TwoLevel])
def test_products_of_lorenz_keep_the_energy_and_states_lie_on_the_attractor(
    kind: type[Lorenz96] | type[Lorenz96TwoLevel], generator: torch.Generator
) -> None:
    pde = kind()
    grid = pde.grid((8,))
    u, params = pde.sample_initial(grid, 4, generator), pde.sample_params(grid, 4, generator)
    inflow = params.scalars[:, 0] * u[:, 0].sum(dim=-1)
    # The coupling passes energy from slow to fast variables at equal rates.
    friction = u[:, 0].square().sum(dim=-1)
    if len(pde.channels) > 1:
        friction = friction + params.scalars[:, 2] * u[:, 1:].square().sum(dim=(1, 2))
    rate = (u * pde.tendency(u, params, grid)).sum(dim=(1, 2))
    torch.testing.assert_close(rate, inflow - friction, atol=1e-10, rtol=0)
    assert u[:, 0].abs().max() < 20 and u[:, 0].std() > 2, "the climate of Lorenz's model"


def test_every_configuration_is_an_equation_of_the_registry() -> None:
    """Each has one of its own name; others are families of the same equations, or left to a recipe."""
    loaded = {path.stem: OmegaConf.load(path) for path in CONF.glob("*.yaml") if path.stem != "of_recipe"}
    named = {name: cfg._target_ for name, cfg in loaded.items()}
    assert set(EQUATIONS) <= set(named)
    assert set(named.values()) == {f"duhamel.pdes.{pde.__name__}" for pde in EQUATIONS.values()}


def test_invariants_of_a_state_and_of_a_trajectory() -> None:
    pde = Burgers(length=2.0)
    grid = pde.grid((16,))
    u = torch.full((3, 5, 1, 16), 0.5, dtype=torch.float64)
    assert pde.invariants(u, grid)["mass"].tolist() == [[1.0] * 5] * 3
    assert pde.dissipated(u[:, 0], grid)["energy"].tolist() == [0.25] * 3


def test_distributions(generator: torch.Generator) -> None:
    n = 10_000
    uniform = Uniform(-1.0, 3.0).sample(n, generator)
    assert uniform.min() >= -1 and uniform.max() <= 3
    assert float(uniform.mean()) == pytest.approx(1.0, abs=4 * 4 / math.sqrt(12 * n))
    log_uniform = LogUniform(1e-3, 1e-1).sample(n, generator)
    assert log_uniform.min() >= 1e-3 * (1 - 1e-12) and log_uniform.max() <= 1e-1 * (1 + 1e-12)
    assert float(log_uniform.log10().mean()) == pytest.approx(-2.0, abs=4 * 2 / math.sqrt(12 * n))
    assert Uniform(2.0, 2.0).sample(3, generator).tolist() == [2.0] * 3
    with pytest.raises(ValueError, match="0 < low"):
        LogUniform(0.0, 1.0)
    with pytest.raises(ValueError, match="must not exceed"):
        Uniform(1.0, 0.0)


def test_permeabilities(generator: torch.Generator) -> None:
    pde = Darcy()
    grid = pde.grid((24, 24))
    a = pde.sample_params(grid, 40, generator).fields
    assert a.unique().tolist() == [3.0, 12.0]
    assert 0.3 < float((a == 12.0).double().mean()) < 0.7
    log_normal = Darcy(permeability=LogNormalField(field=GaussianField(sigma=9.0, tau=3.0, alpha=2.0, n_modes=8)))
    a = log_normal.sample_params(grid, 4, generator).fields
    assert (a > 0).all() and len(a.unique()) == a.numel()


def test_equations_in_one_dimension_refuse_two() -> None:
    for name in ("advection", "burgers", "kdv", "kuramoto_sivashinsky"):
        with pytest.raises(ValueError, match="one space dimension"):
            EQUATIONS[name]().grid((8, 8))
    with pytest.raises(ValueError, match="two space dimensions"):
        NavierStokes().grid((8,))
    with pytest.raises(ValueError, match="at least 4 sites"):
        Lorenz96().grid((3,))
