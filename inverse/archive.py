"""A posterior as a NetCDF file that arviz and xarray read."""

import json
from pathlib import Path
from typing import Any

import arviz

from duhamel.inverse.posterior import Posterior
from duhamel.inverse.problem import InverseProblem


def to_arviz(found: Posterior, problem: InverseProblem) -> Any:
    """InferenceData: draws of z and of every inferred number; means and standard deviations of fields as constants.

    Status, gates and costs are attributes; weights, where draws have them, are a sample statistic.
    """
    grid = problem.grid
    chains, draws = found.samples.shape[:2]
    posterior, constant = {"z": found.samples.numpy()}, {}
    for name, where in problem.prior.slices.items():
        if where.start == where.stop:
            continue

        def quantity(z: Any, name: str = name) -> Any:
            return problem.prior.values(z, grid)[name]

        values = quantity(found.draws[:1])
        if values.ndim == 1:
            posterior[name] = quantity(found.draws).reshape(chains, draws).numpy()
        else:
            constant[f"{name}_mean"] = found.mean(quantity).numpy()
            if len(found.draws) > 1:
                constant[f"{name}_std"] = found.std(quantity).numpy()
    attributes = {
        "method": found.method,
        "status": str(found.status),
        "passed": int(found.passed),
        "gates": json.dumps([str(gate) for gate in found.gates]),
        "surrogate_solves": found.spent.surrogate,
        "reference_solves": found.spent.reference,
        "seconds": found.spent.seconds,
    }
    return arviz.from_dict(
        posterior=posterior,
        sample_stats=None if found.weights is None else {"weight": found.weights.numpy()},
        observed_data={"data": problem.data.numpy()},
        constant_data=constant or None,
        attrs=attributes,
    )


def write_netcdf(found: Posterior, problem: InverseProblem, path: Path) -> None:
    to_arviz(found, problem).to_netcdf(str(path), engine="h5netcdf")
