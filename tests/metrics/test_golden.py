"""Published definitions, against values computed by the codes that publish them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from duhamel import metrics

PDEBENCH_INPUT_FRAMES = 2  # the first ones, which are not scored
PDEBENCH_VOLUME = {"1d": 1.0, "2d": 2.0, "3d": 6.0}  # side lengths 1, 2 and 3 were passed


def pdebench(folder: Path, case: str) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Golden values per time and channel (as [time, channel, ...]), prediction and target, all in float64."""
    with np.load(folder / "golden" / "pdebench_metric_func.npz") as file:
        golden = {
            name: torch.from_numpy(file[f"{case}/mean0/{name}"]).double()
            for name in ("RMSE", "nRMSE", "CSV", "Max", "BD", "F")
        }
        fields = [torch.from_numpy(file[f"{case}/{name}"]).double() for name in ("pred", "target")]
    # Their axes are [batch, *space, time, channel].
    prediction, target = (u.movedim((-2, -1), (1, 2))[:, PDEBENCH_INPUT_FRAMES:] for u in fields)
    return golden, prediction, target


def float32_rounding(target: Tensor) -> float:
    """Error of the golden values themselves: they were computed in float32, some as differences of sums of fields."""
    return float(torch.finfo(torch.float32).eps * target.abs().mean())


@pytest.mark.parametrize("case", ["1d", "2d", "3d"])
def test_errors_equal_pdebench(shared_data: Path, case: str) -> None:
    golden, prediction, target = pdebench(shared_data, case)
    ours = {
        "RMSE": metrics.rmse(prediction, target).mean(0),
        "nRMSE": metrics.nrmse(prediction, target).mean(0),
        "CSV": metrics.crmse(prediction, target).square().mean(0).sqrt(),
        "Max": metrics.max_error(prediction, target).amax(0),
    }
    for name, value in ours.items():
        atol = float32_rounding(target) if name == "CSV" else 0.0
        torch.testing.assert_close(value.T, golden[name], rtol=1e-6, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("case", ["1d", "2d", "3d"])
def test_boundary_error_equals_pdebench(shared_data: Path, case: str) -> None:
    golden, prediction, target = pdebench(shared_data, case)
    ours = metrics.brmse(prediction, target)
    # In 3-D the published code adds up channels and keeps samples.
    value = ours.square().sum(2).sqrt() if case == "3d" else ours.mean(0).T
    torch.testing.assert_close(value, golden["BD"], rtol=1e-6, atol=0)


@pytest.mark.parametrize("case", ["1d", "2d", "3d"])
def test_spectral_error_equals_pdebench(shared_data: Path, case: str) -> None:
    golden, prediction, target = pdebench(shared_data, case)
    ours = metrics.pdebench_frmse(prediction, target, volume=PDEBENCH_VOLUME[case]).permute(1, 2, 0)
    atol = float32_rounding(target)
    torch.testing.assert_close(ours, golden["F"], rtol=1e-6, atol=atol, equal_nan=True)
    assert golden["F"].isfinite().any(dim=2).sum() >= 4  # the comparison is not one of NaN with NaN


@pytest.mark.parametrize("case", ["1d", "2d", "3d"])
def test_means_equal_pdebench(shared_data: Path, case: str) -> None:
    golden, prediction, target = pdebench(shared_data, case)
    with np.load(shared_data / "golden" / "pdebench_metric_func.npz") as file:
        published = {name: torch.from_numpy(file[f"{case}/mean1/{name}"]).double() for name in golden}
    ours = {
        "RMSE": metrics.rmse(prediction, target).mean(),
        "nRMSE": metrics.nrmse(prediction, target).mean(),
        "CSV": metrics.crmse(prediction, target).square().mean(0).sqrt().mean(),
        "Max": metrics.max_error(prediction, target).amax(0).mean(),
        "F": metrics.pdebench_frmse(prediction, target, volume=PDEBENCH_VOLUME[case]).mean((0, 1)),
    }
    for name, value in ours.items():
        torch.testing.assert_close(value, published[name], rtol=1e-5, atol=0, equal_nan=True)


@pytest.mark.parametrize("case", ["1d", "2d", "3d"])
def test_vrmse_equals_the_formula_of_the_well(shared_data: Path, case: str) -> None:
    """Their code is not run here: sqrt(mean e^2 / (std^2 + 1e-7)), the deviation unbiased as torch.std has it."""
    _, prediction, target = pdebench(shared_data, case)
    p, y = (u.flatten(3).numpy() for u in (prediction, target))
    golden = np.sqrt(np.mean((p - y) ** 2, axis=3) / (np.std(y, axis=3, ddof=1) ** 2 + 1e-7))
    np.testing.assert_allclose(metrics.vrmse(prediction, target).numpy(), golden, rtol=1e-6)


def apebench(folder: Path, case: str) -> tuple[dict[str, float], Tensor, Tensor]:
    with np.load(folder / "golden" / "exponax_apebench_metrics.npz") as file:
        prefix = f"{case}/mean_"
        golden = {name.removeprefix(prefix): float(file[name]) for name in file.files if name.startswith(prefix)}
        prediction, target = (torch.from_numpy(file[f"{case}/{name}"])[:, None] for name in ("pred", "ref"))
    return golden, prediction, target


@pytest.mark.parametrize("case", ["1d", "2d", "3d"])
def test_errors_equal_apebench(shared_data: Path, case: str) -> None:
    golden, prediction, target = apebench(shared_data, case)

    def mean(value: Tensor) -> float:
        return float(value.sum(2).mean())

    ours = {
        "MAE": mean(metrics.mae(prediction, target)),
        "nMAE": mean(metrics.nmae(prediction, target)),
        "sMAE": mean(metrics.smae(prediction, target)),
        "MSE": mean(metrics.mse(prediction, target)),
        "nMSE": mean(metrics.nmse(prediction, target)),
        "RMSE": mean(metrics.rmse(prediction, target)),
        "nRMSE": mean(metrics.nrmse(prediction, target)),
        "sRMSE": mean(metrics.srmse(prediction, target)),
        "H1_nRMSE": mean(metrics.apebench_h1_nrmse(prediction, target)),
        # By Parseval's identity the Fourier sums over all wavenumbers are those over space.
        "fourier_RMSE": mean(metrics.rmse(prediction, target)),
        "fourier_nRMSE": mean(metrics.apebench_fourier_nrmse(prediction, target)),
        "fourier_nRMSE_0_4": mean(metrics.apebench_fourier_nrmse(prediction, target, low=0, high=4)),
        "fourier_nRMSE_5_10": mean(metrics.apebench_fourier_nrmse(prediction, target, low=5, high=10)),
        "correlation": float(metrics.correlation(prediction, target).mean()),
    }
    assert ours == pytest.approx(golden, rel=1e-12)


def test_geometric_mean_equals_apebench(shared_data: Path) -> None:
    with np.load(shared_data / "golden" / "exponax_apebench_metrics.npz") as file:
        curve, golden = torch.from_numpy(file["gmean/rollout_mean_nRMSE"]), float(file["gmean/value_up_to_20"])
    assert float(metrics.geometric_mean(curve)) == pytest.approx(golden, rel=1e-12)
