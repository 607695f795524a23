"""A benchmark small enough for a test: Burgers on 32 points, solvers over a few knobs, contenders of every kind."""

from pathlib import Path
from typing import Any

import torch

from duhamel.benchmark.contenders import Given, Persistence, SavedSurrogate
from duhamel.benchmark.contest import Contest
from duhamel.benchmark.sweeps import SolverSweep, etdrk4
from duhamel.benchmark.timing import Protocol
from duhamel.benchmark.workload import Draw, Truth
from duhamel.fields import Moments, Statistics
from duhamel.operators import FNO, Normaliser, Surrogate
from duhamel.operators.card import trained_range
from duhamel.pdes import Burgers, LogUniform

VISCOUS = Burgers(viscosity=LogUniform(0.05, 0.1))
DRAW = Draw(pde=VISCOUS, shape=[32], dt=0.02, n_steps=3, n_samples=12)
PROTOCOL = Protocol(warm_up=1, repeats=2, least=2, seconds=0.02)


def burgers_surrogate(*, training_seconds: float | None = 3.0, seed: int = 0) -> Surrogate:
    """Untrained, but near persistence: its increments are small."""
    torch.manual_seed(seed)
    work = DRAW.at()
    operator = FNO(work.problem, n_modes=4, width=4, n_layers=1)
    with torch.no_grad():
        for weight in operator.parameters():
            weight.mul_(0.3)

    def moments(x: torch.Tensor) -> Moments:
        x = x.flatten()[None]
        zero = torch.zeros(1, dtype=torch.float64)
        return Moments(x.mean(1), x.std(1), x.amin(1), x.amax(1), zero, zero + 1)

    none = Moments(*(torch.zeros(0, dtype=torch.float64) for _ in range(6)))
    statistics = Statistics(moments(work.u0), moments(0.1 * work.u0), moments(work.params.scalars), none)
    surrogate = Surrogate(
        operator, Normaliser.fitted(work.problem, statistics), trained_range=trained_range(work.problem, statistics)
    )
    surrogate.add_cost({"n_trajectories": 0, "n_steps": 3, "n_epochs": 4, "training_seconds": training_seconds})
    return surrogate


def contest(folder: Path, **changes: Any) -> Contest:
    """Two surrogates that differ in their seed, 8 settings of a solver, baselines, and two solvers that fail."""
    paths = []
    for seed in (0, 1):
        paths.append(str(folder / f"surrogate_{seed}.safetensors"))
        burgers_surrogate(seed=seed).save(paths[-1])

    def broken(u: torch.Tensor, params: object) -> torch.Tensor:
        raise RuntimeError("no licence for this solver")

    options: dict[str, Any] = {
        "title": "Burgers, small",
        "draw": DRAW,
        "truth": Truth(rtol=3e-7),
        "contenders": {
            "fno": SavedSurrogate(paths),
            "etdrk4": SolverSweep(n=[16, 64], knobs={"substeps": [1, 2]}, solver=etdrk4, dtype=["float64", "float32"]),
            "persistence": Persistence(),
            "halved": Given(lambda u, params: 0.9 * u, knobs={"factor": 0.9}),
            "diverging": Given(lambda u, params: u / 0, kind="solver"),
            "broken": Given(broken, kind="solver"),
        },
        "batch_sizes": [1, 4],
        "protocol": PROTOCOL,
        "max_load": None,
        "stability_samples": 4,
        "shapes": [[16], [32], [64]],
        "others": {"loud": Burgers(viscosity=LogUniform(0.2, 0.3))},
        "n_others": 4,
    }
    return Contest(**{**options, **changes})
