"""Every operator that `duhamel.operators` exports keeps its promises; an operator that does not is found out."""

import inspect
import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn

from duhamel.operators import (
    CAPE,
    FNO,
    Concatenation,
    FiLM,
    MgNO,
    Operator,
    Unconditioned,
    UNet,
)
from duhamel.operators.probe import (
    commutes_with_shifts,
    converges_under_refinement,
    every_tensor_is_used,
    examine,
    gradients_reach_every_tensor,
    inputs_matter,
    main,
    registered,
)
from duhamel.operators.probed import circle, drawn, relative, sample

# Small ones; an operator without an entry is probed with its defaults.
SMALL = {
    "FNO": {"n_modes": 8, "width": 6, "n_layers": 2},
    "NeuralopFNO": {"n_modes": 8, "hidden_channels": 8, "n_layers": 1},
    "MgNO": {"width": 4, "n_layers": 2},
    "UNet": {"width": 4, "n_blocks": 1},
    "ClassicUNet": {"width": 4, "n_levels": 2},
    "DeepONet": {"width": 8, "n_sensors": 4, "n_basis": 4, "n_frequencies": 2},
    "Transformer": {"width": 8, "n_layers": 1, "n_heads": 2, "n_frequencies": 2},
    "UNO": {"n_modes": 8, "width": 4, "multipliers": (1, 2)},
    "LocalNO": {"n_modes": 8, "width": 4, "n_layers": 2},
    "LowRankNO": {"width": 4, "n_layers": 2, "rank": 2, "n_frequencies": 2},
    "GraphKernelNO": {"width": 4, "n_layers": 2, "hidden": 8},
    "PODRegression": {"rank": 4},
    "NSM": {"modes": 9, "time_modes": 4, "width": 6, "n_layers": 1},
}


@pytest.mark.parametrize("name", registered())
def test_conformance(name):
    findings = examine(partial(registered()[name], **SMALL.get(name, {})), circle(32), backend=None)
    failed = [f for f in findings if not f.passed]
    assert not failed, "\n".join(f"{f.probe}: {f.detail}" for f in failed)


@pytest.mark.parametrize("weight", ["tucker", "cp"])
def test_conformance_of_low_rank(weight):
    findings = examine(partial(FNO, **SMALL["FNO"], weight=weight, rank=0.5), circle(32), backend=None)
    failed = [f for f in findings if not f.passed]
    assert not failed, "\n".join(f"{f.probe}: {f.detail}" for f in failed)


COMPILE = """
from functools import partial
from duhamel.operators.probe import compiles, registered
from duhamel.operators.probed import circle
for name, small in {small}.items():
    finding = compiles(partial(registered()[name], **small), circle(32), backend="eager")
    print(name, finding.passed, finding.detail)
"""


@pytest.mark.slow
def test_compiled_operators_give_what_eager_ones_give():
    """In a process of its own: what checks shapes in tests does not compile."""
    small = {name: SMALL.get(name, {}) for name in registered()}
    script = COMPILE.replace("{small}", repr(small))
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False)
    assert out.stdout.count(" True ") == len(small), out.stdout + out.stderr


@pytest.mark.parametrize("conditioning", [FiLM(width=6), CAPE(width=4, n_modes=4)], ids=["film", "cape"])
@pytest.mark.parametrize("kind", [MgNO, UNet])
def test_conformance_with_other_conditionings_in_two_dimensions(kind, conditioning):
    small = {"pre": (1, 1), "n_layers": 1} if kind is MgNO else {"multipliers": (1, 2), "n_blocks": 1}
    findings = examine(partial(kind, width=4, conditioning=conditioning, **small), circle(8, dim=2), backend=None)
    failed = [f for f in findings if not f.passed]
    assert not failed, "\n".join(f"{f.probe}: {f.detail}" for f in failed)


CONDITIONED = [name for name, kind in registered().items() if "conditioning" in inspect.signature(kind).parameters]
CONDITIONINGS = {
    "film": FiLM(width=4),
    "cape": CAPE(width=4, n_modes=4),
    "faithful cape": CAPE(width=4, n_modes=4, faithful=True),
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("conditioning", CONDITIONINGS)
@pytest.mark.parametrize("name", CONDITIONED)
def test_claims_are_true_with_every_conditioning(name, conditioning):
    """CAPE's stencils count points; as published it has a gain for each point too, and a bias that changes nothing."""
    make = partial(registered()[name], **SMALL[name], conditioning=CONDITIONINGS[conditioning])
    asked = (
        every_tensor_is_used,
        gradients_reach_every_tensor,
        inputs_matter,
        converges_under_refinement,
        commutes_with_shifts,
    )
    findings = {f.probe: f for f in (probe(make, circle(32)) for probe in asked)}
    failed = [f for f in findings.values() if not f.passed]
    assert not failed, "\n".join(f"{f.probe}: {f.detail}" for f in failed)
    if "cape" in conditioning:
        assert findings["converges under refinement"].detail.startswith("not asked: ")
    if conditioning == "faithful cape":
        assert findings["commutes with shifts"].detail == "not claimed"


def test_cape_ties_an_operator_to_its_grid_and_concatenation_does_not():
    """FNO on the same functions at n and 2n points."""
    problem, fine = circle(32), circle(64).grid
    distances = {}
    for conditioning in (Concatenation(), CAPE(width=4, n_modes=4, size=1), CAPE(width=4, n_modes=4)):
        operator = drawn(partial(FNO, **SMALL["FNO"], conditioning=conditioning), problem)
        with torch.no_grad():
            coarse = operator(*sample(problem, problem.grid))
            finer = operator.on(fine)(*sample(problem, fine))
        distances[conditioning] = relative(finer[..., ::2], coarse)
        assert bool(operator.resolution_bound) == (distances[conditioning] > 1e-3), distances
        assert operator.shift_period == 1
    assert max(distances.values()) > 1e-2


def test_the_published_cape_refuses_another_grid():
    operator = FNO(circle(32), **SMALL["FNO"], conditioning=CAPE(width=4, n_modes=4, faithful=True))
    fine = circle(64).grid
    u, params = sample(operator.problem, fine)
    with pytest.raises(ValueError, match=r"a gain for every point of its grid, of \(32,\): there is none for \(64,\)"):
        operator.on(fine)(u.float(), params.to(torch.float32))


class Broken(Operator):
    """Ignores the numbers, has an idle weight, depends on where the grid begins, and on its number of points."""

    own_shift_period = 1

    def __init__(self, problem, **kwargs):
        super().__init__(problem)
        self.idle, self.used = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))

    def forward(self, u, params):
        return self.used * (u + params.fields) * u.shape[-1] * torch.arange(u.shape[-1])


def test_a_broken_operator_is_found_out():
    found = {probe: probe(Broken, circle(16)) for probe in (every_tensor_is_used, inputs_matter)}
    assert found[every_tensor_is_used].detail == "idle, or wrongly said to be: ['idle']"
    assert found[inputs_matter].detail == "wrong about ['numbers']"
    assert not commutes_with_shifts(Broken, circle(16)).passed
    assert not converges_under_refinement(Broken, circle(16)).passed


def test_blindness_must_be_declared():
    finding = inputs_matter(partial(FNO, n_modes=4, width=4, n_layers=1), circle(16))
    assert finding.passed
    blind = partial(MgNO, width=4, pre=(1, 1), n_layers=1, conditioning=Unconditioned())
    assert inputs_matter(blind, circle(16)).passed


def test_the_command_prints_what_it_found(capsys):
    main(["Persistence", "--points", "16"])
    assert "Persistence: ok     commutes with shifts  by 1 points" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["Unet"])
