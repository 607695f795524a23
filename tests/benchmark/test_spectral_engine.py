"""The engine's benchmark on a tiny shape: both contenders compute the same, and the table says what was measured."""

import math

import torch
from rich.console import Console

from duhamel.benchmark.engine_contenders import Shape, build, least_traffic, operations
from duhamel.benchmark.spectral_engine import SpectralEngine
from duhamel.benchmark.timing import Times


def test_ratios_are_those_of_neighbouring_rounds():
    slow, fast = Times((2.0, 4.0, 30.0)), Times((1.0, 2.0, 10.0))
    assert slow.over(fast) == (2.0, 2.0, 2.5)
    assert slow.median == 4.0


def test_floor_counts_bytes_and_operations():
    shape = Shape(batch=2, channels=4, points=16, modes=6, dim=1)
    ours = build(shape, torch.device("cpu"))[0]
    n_weights = sum(p.numel() for p in ours.parameters())
    states = 2 * 16 * (4 * 4 + 4 * (4 + 4 + 2))  # 2 x 8 between lifting, projection and blocks; 10 in each of 4 blocks
    assert least_traffic(shape, ours, "fp32") == 4 * 5 * states + 32 * n_weights
    assert least_traffic(shape, ours, "bf16") == 2 * 5 * states + 32 * n_weights
    double = Shape(batch=4, channels=4, points=16, modes=6, dim=1)
    assert operations(double, ours) == 2 * operations(shape, ours)


def test_same_weights_same_numbers_and_every_row_is_there():
    one = [2, 4, 16, 6, 1]
    engine = SpectralEngine(steps=[one], layers=[one, [2, 4, 9, 4, 2]], precisions=["fp32"], repeats=2)
    result = engine.run(Console(quiet=True))
    layer, odd, step = result["rows"]
    assert layer["difference"] < 1e-5 and step["difference"] < 1e-5
    assert math.isnan(odd["difference"])
    assert set(step["memory"]) == set(step["seconds"]) == {"neuraloperator", "duhamel"}
    assert min(step["memory"].values()) >= 0 and step["floor"] > 0
