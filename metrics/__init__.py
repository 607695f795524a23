"""Errors of predicted trajectories against true ones."""

from duhamel.metrics.conservation import Conserving, invariant_drift
from duhamel.metrics.errors import (
    brmse,
    correlation,
    crmse,
    h1,
    mae,
    max_error,
    mse,
    nmae,
    nmse,
    nrmse,
    pearson,
    relative_l2,
    relative_l2_by_channel,
    relative_l2_by_time,
    rmse,
    smae,
    sobolev,
    srmse,
    vrmse,
)
from duhamel.metrics.gradients import gradient_energy
from duhamel.metrics.horizon import geometric_mean, horizon
from duhamel.metrics.panel import Curves, Panel
from duhamel.metrics.published_spectra import (
    apebench_fourier_nrmse,
    apebench_h1_nrmse,
    pdebench_frmse,
    well_binned_spectral_mse,
)
from duhamel.metrics.samples import Samples
from duhamel.metrics.spectrum import BANDS, energy_spectrum, relative_l2_by_band

__all__ = [
    "BANDS",
    "Conserving",
    "Curves",
    "Panel",
    "Samples",
    "apebench_fourier_nrmse",
    "apebench_h1_nrmse",
    "brmse",
    "correlation",
    "crmse",
    "energy_spectrum",
    "geometric_mean",
    "gradient_energy",
    "h1",
    "horizon",
    "invariant_drift",
    "mae",
    "max_error",
    "mse",
    "nmae",
    "nmse",
    "nrmse",
    "pdebench_frmse",
    "pearson",
    "relative_l2",
    "relative_l2_by_band",
    "relative_l2_by_channel",
    "relative_l2_by_time",
    "rmse",
    "smae",
    "sobolev",
    "srmse",
    "vrmse",
    "well_binned_spectral_mse",
]
