"""What was spent before the first solve: data, training, tuning. A number that nobody knows is asked for."""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from duhamel.benchmark.contenders import Fixed
from duhamel.fields import Grid
from duhamel.operators import Surrogate
from duhamel.pdes import EQUATIONS
from duhamel.solvers import AdaptiveETDRK4, UnresolvedError, reference_trajectory

N_TIMED = 32
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def of_surrogate(surrogate: Surrogate, stated: Mapping[str, float | None], *, where: str) -> Fixed:
    """What the configuration states, else what the card says, else (for data) what solving them again takes.

    Raises ValueError, naming the option, where training or data remain unknown.
    """
    cost = surrogate.card["data"].get("cost") or {}
    numbers = dict(stated)
    sources = {name: "configuration" for name, value in stated.items() if value is not None}
    if numbers["training"] is None and cost.get("training_seconds") is not None:
        numbers["training"], sources["training"] = float(cost["training_seconds"]), "card of the surrogate"
    if numbers["data"] is None and cost.get("n_trajectories") is not None:
        n = int(cost["n_trajectories"])
        provenance = surrogate.card["data"].get("provenance") or {}
        seconds = _generation(provenance, solved_steps(provenance, surrogate, int(cost["n_steps"]))) if n else 0.0
        if seconds is not None:
            numbers["data"] = n * seconds
            sources["data"] = (
                "none was solved for the training"
                if not n
                else f"measured: {n} trajectories of the equation's usual samples, solved as the card says, "
                f"{1e3 * seconds:.3g} ms each"
            )
    n_epochs = cost.get("n_epochs")
    fixed = Fixed(numbers["data"], numbers["training"], numbers["tuning"], sources, n_epochs and int(n_epochs))
    require_stated(fixed, where=where)
    if numbers["tuning"] is None:
        fixed = replace(fixed, sources={**sources, "tuning": "not stated, counted as none"})
    return fixed


def require_stated(fixed: Fixed, *, where: str) -> None:
    """ValueError where a break-even could not be computed."""
    unknown = [name for name in ("data_seconds", "training_seconds") if getattr(fixed, name) is None]
    if unknown:
        raise ValueError(
            f"{where}: nobody says how long data and training took; set {' and '.join(unknown)} "
            "(0 where there was none)"
        )


def solved_steps(provenance: Mapping[str, Any], surrogate: Surrogate, n_steps: int) -> int:
    """Steps of the file behind so many of the surrogate's, which may hold several, and those before its first state."""
    dt = provenance.get("dt")
    return round(n_steps * (surrogate.problem.dt / dt if dt else 1)) + int(provenance.get("warmup", 0))


def _generation(provenance: Mapping[str, Any], n_steps: int) -> float | None:
    """Seconds a trajectory of the equation's usual samples, solved in a batch on this machine as its provenance says.

    None where it does not, and where these samples are not resolved there: others made the data.
    """
    needed = ("problem", "n", "substeps", "dtype", "equation")
    if any(provenance.get(name) is None for name in needed) or provenance["equation"] not in EQUATIONS:
        return None
    pde = EQUATIONS[provenance["equation"]]()
    stored = Grid.from_dict(provenance["problem"]["grid"])
    refine = max(1, round(provenance["n"][0] / stored.shape[0]))
    generator = torch.Generator().manual_seed(0)
    dtype = DTYPES[provenance["dtype"]]
    u0 = pde.sample_initial(stored, N_TIMED, generator).to(dtype)
    params = pde.sample_params(stored, N_TIMED, generator).to(dtype)
    dt, substeps = float(provenance["dt"]), max(1, int(provenance["substeps"]))
    start = time.perf_counter()
    try:
        if provenance.get("solver") == AdaptiveETDRK4.__name__:
            # Points and steps are stated of its finest grid, where hardly a frame is solved.
            coarse = max(1, substeps // refine)
            AdaptiveETDRK4(pde, stored, dt, substeps=coarse, max_refine=refine).trajectory(u0, params, n_steps)
        else:
            reference_trajectory(pde, u0, params, stored, dt, n_steps, refine=refine, substeps=substeps)
    except UnresolvedError:
        return None
    return (time.perf_counter() - start) / N_TIMED
