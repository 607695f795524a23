"""Models and solvers of others as contenders: neuraloperator's by a five-line config, UM-Bridge servers, POD."""

import sys
from types import SimpleNamespace

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from duhamel.benchmark.fitted import Fitted
from duhamel.benchmark.um_bridge import UMBridge
from duhamel.benchmark.workload import Draw
from duhamel.operators import FNO, NeuralopFNO, PODRegression
from duhamel.pdes import Burgers
from tests.benchmark.contests import DRAW

FIVE_LINES = """
_target_: duhamel.benchmark.modules.Module
module: {{_target_: neuralop.models.FNO, n_modes: [4], in_channels: 2, out_channels: 1, hidden_channels: 4,
         n_layers: 1}}
weights: {path}
data_seconds: 8.0
training_seconds: 60.0
"""


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
def test_neuraloperators_fno_by_five_lines(tmp_path):
    work = DRAW.at()
    ours = NeuralopFNO(work.problem, n_modes=4, hidden_channels=4, n_layers=1)
    path = tmp_path / "fno.pt"
    torch.save({k: v for k, v in ours.model.state_dict().items() if k != "_metadata"}, path)
    contender = instantiate(OmegaConf.create(FIVE_LINES.format(path=path)), _convert_="all")
    (setting,) = contender.settings("theirs", work)
    assert setting.fixed.total == 68.0
    u0, params = work.u0.float(), work.params.to(torch.float32)
    with torch.no_grad():
        expected = ours(u0, params)
    torch.testing.assert_close(setting.build(work)(u0, params)[:, 0], expected, rtol=1e-6, atol=1e-6)


def test_weights_that_are_code_are_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(torch.nn.Linear(1, 1), path)
    config = OmegaConf.create(FIVE_LINES.format(path=path))
    config.module = {"_target_": "torch.nn.Identity"}
    with pytest.raises(Exception, match="save tensors only"):
        instantiate(config, _convert_="all")


def test_um_bridge_sends_state_numbers_and_fields_and_reads_a_state(monkeypatch):
    asked = []

    class HTTPModel:
        def __init__(self, url, name):
            asked.append((url, name))

        def __call__(self, inputs, config):
            asked.append(config)
            state, numbers = inputs
            return [[numbers[0] * x for x in state]]

    monkeypatch.setitem(sys.modules, "umbridge", SimpleNamespace(HTTPModel=HTTPModel))
    work = DRAW.at().first(3)
    contender = UMBridge("http://localhost:4242", "forward", config={"level": 2})
    (setting,) = contender.settings("remote", work)
    assert setting.kind == "solver" and not asked
    states = setting.build(work)(work.u0, work.params)
    powers = work.params.scalars[:, :1, None] ** torch.arange(1, 4)
    torch.testing.assert_close(states, (work.u0[:, :, None] * powers[..., None]).transpose(1, 2))
    assert asked[0] == ("http://localhost:4242", "forward") and asked[1] == {"level": 2} and len(asked) == 1 + 3 * 3


def test_um_bridge_is_asked_for_by_name_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "umbridge", None)
    work = DRAW.at()
    (setting,) = UMBridge("http://localhost:1", "forward").settings("remote", work)
    with pytest.raises(ImportError):
        setting.build(work)(work.u0, work.params)


def test_pod_is_fitted_and_its_time_counted(tmp_path):
    from tests.test_experiments import generated

    path = generated(tmp_path, "burgers", "shape=[32]", "n_steps=6", "refine=4", "substeps=4", "pde.viscosity.low=0.05",
                     "pde.viscosity.high=0.1")  # fmt: skip
    data = {"path": str(path), "batch_size": 4, "fractions": [0.8, 0.1, 0.1]}
    work = Draw(pde=Burgers(), shape=[32], dt=0.02, n_steps=6, n_samples=2).at()
    pod = Fitted(lambda problem: PODRegression(problem, rank=8), data, data_seconds=1.0)
    (setting,) = pod.settings("pod", work)
    assert setting.fixed.training_seconds > 0 and setting.fixed.total > 1.0
    setting.surrogate.problem.require_same(work.problem, owner="the surrogate", asker="the workload")
    states = setting.build(work)(work.u0.float(), work.params.to(torch.float32))
    assert states.shape == (2, 6, 1, 32) and bool(states.isfinite().all())
    with pytest.raises(ValueError, match="use train.py"):
        Fitted(lambda problem: FNO(problem, n_modes=4, width=4), data).settings("fno", work)
