"""How parameters enter: identities, what depends on what, published counts, cards."""

from pathlib import Path

import pytest
import torch

import duhamel
from duhamel.fields import Boundary, Centring, Grid, Parameters, Problem, Quantity
from duhamel.operators import (
    CAPE,
    Concatenation,
    FiLM,
    FourierFeatures,
    MgNO,
    Normaliser,
    Surrogate,
    Unconditioned,
)
from duhamel.operators.card import build, describe, trained_range
from duhamel.operators.conditioning import AffineModulation
from tests.operators.problems import line, line_statistics, plane

CHOICES = {
    "none": Unconditioned(),
    "concatenation": Concatenation(FourierFeatures(n_frequencies=2)),
    "film": FiLM(width=8),
    "cape": CAPE(width=8, n_modes=4),
}


def flow(dim: int, n: int, *, n_channels: int, n_scalars: int) -> Problem:
    return Problem(
        equation="",
        channels=tuple(Quantity(f"u{i}") for i in range(n_channels)),
        scalars=tuple(Quantity(f"p{i}") for i in range(n_scalars)),
        coefficients=(),
        grid=Grid(shape=(n,) * dim, extent=(1.0,) * dim, boundary=(Boundary.PERIODIC,) * dim, centring=Centring.CELL),
        dt=0.1,
    )


def states(generator, n: int = 32, batch: int = 2):
    return torch.randn(batch, 1, n, generator=generator, dtype=torch.float64)


def at(*values: float, n: int = 32) -> Parameters:
    return Parameters(torch.tensor(values, dtype=torch.float64)[:, None], torch.zeros(len(values), 0, n).double())


@pytest.mark.parametrize(("dim", "count", "mix"), [(1, 44_321, 3), (2, 355_972, 36)])
def test_published_cape_has_the_published_number_of_parameters(dim, count, mix):
    """Advection at 128 cells with one number; compressible flow at 64 x 64 with three.

    Of the 16 x 16 averages in the latter the published layer takes nine rows from either end, so two of them twice; the
    grid of 128 x 128 is the smallest on which ours can hold as many weights.
    """
    problem = flow(1, 128, n_channels=1, n_scalars=1) if dim == 1 else flow(2, 64, n_channels=4, n_scalars=3)
    modes = (30,) if dim == 1 else (18, 16)
    cape = CAPE(n_modes=modes, faithful=True).bind(problem)
    assert sum(p.numel() for p in cape.mix.parameters()) == mix
    multiplier = sum(p.numel() for p in cape.branches[0].spectral.parameters())
    spectral, rest = multiplier // 2, sum(p.numel() for p in cape.parameters()) - multiplier
    assert spectral + rest - mix == count
    if dim == 1:
        u, params = torch.zeros(1, 1, 128), Parameters(torch.ones(1, 1), torch.zeros(1, 0, 128))
        assert cape.encode(u, params).shape == (1, 2, 128)


@pytest.mark.parametrize("name", CHOICES)
def test_only_the_blind_do_not_depend_on_the_parameters(name, generator):
    model = MgNO(line(), width=4, n_layers=2, conditioning=CHOICES[name]).double()
    if name == "film":  # it starts as the identity
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    u = states(generator)
    change = (model(u, at(0.5, 0.5)) - model(u, at(-0.5, 1.0))).abs().amax((1, 2))
    assert bool((change > 1e-6).all()) == (name != "none")


def test_film_is_the_identity_at_initialisation(generator):
    v = torch.randn(2, 3, 8, generator=generator)
    modulation = AffineModulation(FourierFeatures(), 1, 16, 3)
    params = Parameters(torch.tensor([[0.3], [2.0]]), torch.zeros(2, 0, 8))
    assert torch.equal(modulation(v, params), v)


def test_cape_without_attention_is_its_unattended_path(generator):
    cape = CAPE(width=8, n_modes=4).bind(line()).double()
    u = states(generator)
    attended = cape.estimate(u, at(0.5, 0.5))
    with torch.no_grad():
        for attention in cape.attentions:
            attention.outer.weight.zero_()
            attention.outer.bias.zero_()
    unattended = cape.estimate(u, at(0.5, 0.5))
    assert torch.equal(unattended, cape.estimate(u, at(-3.0, 7.0)))
    gelu = torch.nn.functional.gelu
    path = u + cape.norm(cape.project(gelu(cape.skip(gelu(cape.lift(u))))))
    torch.testing.assert_close(unattended, path, rtol=0, atol=1e-14)
    assert (attended - unattended).abs().max() > 1e-3


def test_cape_commutes_with_shifts_and_keeps_its_meaning_on_finer_grids(generator):
    cape = CAPE(width=8, n_modes=4).bind(line()).double()
    u, params = states(generator), at(0.5, 0.5)
    torch.testing.assert_close(cape.estimate(u.roll(3, 2), params), cape.estimate(u, params).roll(3, 2))
    published = CAPE(width=8, n_modes=4, faithful=True).bind(line()).double()
    with torch.no_grad():
        torch.nn.init.normal_(published.norm.weight, generator=generator)
    assert (published.estimate(u.roll(4, 2), params) - published.estimate(u, params).roll(4, 2)).abs().max() > 1e-2


@pytest.mark.parametrize("name", CHOICES)
def test_a_card_rebuilds_the_choice(name, tmp_path: Path, generator):
    statistics = line_statistics()
    operator = MgNO(line(), width=4, n_layers=1, conditioning=CHOICES[name])
    surrogate = Surrogate(
        operator, Normaliser.fitted(line(), statistics), trained_range=trained_range(line(), statistics)
    )
    surrogate.save(tmp_path / "s.safetensors")
    loaded = duhamel.load(tmp_path / "s.safetensors")
    assert loaded.operator.arguments["conditioning"] == CHOICES[name]
    u, params = states(generator).float(), Parameters(torch.full((2, 1), 0.01), torch.zeros(2, 0, 32))
    assert torch.equal(loaded(u, params), surrogate(u, params))


def test_a_card_builds_components_of_operators_alone():
    description = describe(MgNO(line(), width=4, n_layers=1))
    for target in ("os.system", "duhamel.operators.Surrogate", "duhamel.operators.Component"):
        with pytest.raises(ValueError, match=f"f: component '{target}' is not a component of duhamel.operators"):
            build({**description, "conditioning": {"_target_": target}}, line(), path="f")


def test_there_must_be_something_to_condition_on():
    with pytest.raises(ValueError, match="FiLM conditions on numbers, but the parameters of darcy problem are fields"):
        MgNO(plane(), pre=(1, 1), conditioning=FiLM())
    with pytest.raises(ValueError, match="CAPE conditions on numbers"):
        MgNO(plane(), pre=(1, 1), conditioning=CAPE())
    with pytest.raises(ValueError, match="pools 4 points an axis, got"):
        cape = CAPE(n_modes=2, faithful=True).bind(line(30))
        cape.estimate(torch.zeros(1, 1, 30), Parameters(torch.zeros(1, 1), torch.zeros(1, 0, 30)))
