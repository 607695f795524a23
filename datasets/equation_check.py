"""Do the data solve the equation they are said to solve?"""

import numpy as np
import torch
from torch import Tensor

from duhamel.datasets.findings import Finding, Verdict
from duhamel.datasets.schema import Source
from duhamel.fields import Parameters
from duhamel.pdes import EQUATIONS, PDE, EvolutionPDE

# Trajectories looked at, evenly spread over the file.
N_CHECKED = 16
# Relative residuals above which a verdict is given. Reference data of the equations here, at 20 to 200 states, have
# medians up to 0.3, all from the differences in time; a viscosity wrong by a factor pi leaves twice that.
DOUBTFUL, WRONG = 0.15, 0.5
# Second-order differences leave a quarter of the residual at half the step; wrong data leave what they left.
FALLING = 0.7

CHECK = "equation"


def equation(source: Source) -> Finding:
    """The residual of the equation, relative to its largest term, in the median of up to 16 trajectories."""
    problem = source.problem
    if problem.equation not in EQUATIONS:
        known = f"{problem.equation or 'not named'}; residuals are known of {', '.join(sorted(EQUATIONS))}"
        return Finding(CHECK, Verdict.SKIPPED, known)
    pde = EQUATIONS[problem.equation]()
    if not pde.smooth:
        return Finding(CHECK, Verdict.SKIPPED, f"solutions of {pde.name} jump: a residual by differences does not tell")
    for kind in ("channels", "scalars", "coefficients"):
        stored, wanted = ([q.name for q in getattr(item, kind)] for item in (problem, pde))
        if stored != wanted:
            return Finding(
                CHECK, Verdict.SKIPPED, f"the residual of {pde.name} takes {kind} {wanted}, the file has {stored}"
            )
    indices = np.unique(np.linspace(0, source.n_trajectories - 1, N_CHECKED).round().astype(int)).tolist()
    try:
        if problem.steady:
            return _stationary(pde, source, indices)
        if isinstance(pde, EvolutionPDE) and source.n_times >= 5:
            return _evolution(pde, source, indices)
    except (ValueError, NotImplementedError) as error:
        return Finding(CHECK, Verdict.SKIPPED, f"residual of {pde.name}: {error}")
    return Finding(CHECK, Verdict.SKIPPED, f"{source.n_times} states are too few, or no residual in time is defined")


def _evolution(pde: EvolutionPDE, source: Source, indices: list[int]) -> Finding:
    def relative(u: Tensor, params: Parameters, dt: float) -> float:
        residual = pde.residual(u, params, source.problem.grid, dt)
        u_t = (u[:, 2:] - u[:, :-2]) / (2 * dt)
        scale = max(float(u_t.norm()), float((u_t - residual).norm()))
        return float(residual.norm()) / scale if scale > 0 else 0.0

    dt = source.problem.dt
    pairs = [(relative(u, p, dt), relative(u[:, ::2], p, 2 * dt)) for u, p in _instances(source, indices)]
    fine, coarse = np.median(np.array(pairs), axis=0)
    detail = f"{pde.name}: residual {fine:.2g} of its largest term ({coarse:.2g} at twice the time step)"
    if fine <= DOUBTFUL:
        return Finding(CHECK, Verdict.OK, detail)
    if fine < FALLING * coarse:
        return Finding(CHECK, Verdict.OK, f"{detail}; it falls with dt: differences in time, not the data")
    return Finding(CHECK, Verdict.FAIL if fine > WRONG else Verdict.WARN, f"{detail}; it does not fall with dt")


def _stationary(pde: PDE, source: Source, indices: list[int]) -> Finding:
    grid = source.problem.grid
    ratios = []
    for u, params in _instances(source, indices):
        guess = pde.residual(torch.zeros_like(u), params, grid, 0.0).norm()
        ratios.append(float(pde.residual(u, params, grid, 0.0).norm() / guess))
    ratio = float(np.median(ratios))
    detail = f"{pde.name}: residual {ratio:.2g} of that of zeros"
    # Never a failure: constants of the equation that differ from the defaults here are not written in the file.
    doubtful = ratio > WRONG
    note = "; wrong data, or constants other than the defaults" if doubtful else ""
    return Finding(CHECK, Verdict.WARN if doubtful else Verdict.OK, detail + note)


def _instances(source: Source, indices: list[int]) -> list[tuple[Tensor, Parameters]]:
    """Finite trajectories, in float64, as batches of one."""
    found = []
    for i in indices:
        u = torch.from_numpy(source.read(i, 0, source.n_times)).double()
        fields = torch.from_numpy(source.read_coefficients(i)).double()
        if bool(u.isfinite().all()) and bool(fields.isfinite().all()):
            found.append((u.unsqueeze(0), Parameters(torch.from_numpy(source.scalars[i : i + 1]), fields.unsqueeze(0))))
    if not found:
        raise ValueError("no trajectory looked at is finite")
    return found
