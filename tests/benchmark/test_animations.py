"""What an animated rollout draws, without a browser."""

import numpy as np
import pytest

from duhamel.benchmark.animations import animation
from duhamel.benchmark.rollouts import Rollouts, Shown


def shown(names: list[str], n_times: int, *space: int, coefficient: bool = False) -> tuple[Rollouts, Shown]:
    generator = np.random.default_rng(0)
    states = {name: generator.standard_normal((n_times, *space), dtype=np.float32) for name in ["truth", *names]}
    given = generator.uniform(3, 12, space).astype(np.float32) if coefficient else None
    sample = Shown("a sample", states, given)
    axes = [np.linspace(0, 1, n) for n in space]
    return Rollouts(axes, [0.5 * i for i in range(n_times)], "u", [sample]), sample


def test_images_come_in_pairs_and_differences_are_from_the_truth_of_the_same_time() -> None:
    rollouts, sample = shown(["fno", "etdrk4"], 4, 6, 8)
    figure = animation(rollouts, sample)
    titles = ["initial state", "truth", "fno", "difference of fno", "etdrk4", "difference of etdrk4"]
    assert [a.text for a in figure.layout.annotations] == titles
    assert len(figure.frames) == len(figure.layout.sliders[0].steps) == 4
    for step in (1, 3):
        start, truth, fno, difference, *_ = (trace.z for trace in figure.frames[step].data)
        np.testing.assert_array_equal(start, sample.states["truth"][0].T)
        np.testing.assert_array_equal(truth, sample.states["truth"][step].T)
        np.testing.assert_allclose(difference, fno - truth, atol=1e-6)


@pytest.mark.parametrize("n", [1, 12])
def test_any_number_of_contenders_of_a_stationary_problem_is_drawn(n: int) -> None:
    rollouts, sample = shown([f"s{i}" for i in range(n)], 1, 5, 5, coefficient=True)
    figure = animation(rollouts, sample)
    assert len(figure.data) == 2 + 2 * n and not figure.frames
    np.testing.assert_array_equal(figure.data[0].z, sample.coefficient.T)
    assert figure.layout.annotations[0].text.startswith("coefficient, ")


def test_more_lines_than_colours_are_drawn() -> None:
    rollouts, sample = shown([f"s{i}" for i in range(9)], 3, 16)
    figure = animation(rollouts, sample)
    assert len(figure.data) == 10 and len(figure.frames) == 3
