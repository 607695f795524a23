"""A surrogate on disk and in use."""

import inspect
import json
import math
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import duhamel
from duhamel.fields import Parameters
from duhamel.operators import FNO, Normaliser, OutsideTrainedRange, Persistence, Surrogate
from duhamel.operators.card import trained_range
from tests.operators.problems import line, line_statistics, plane, plane_statistics


def on_a_line() -> Surrogate:
    torch.manual_seed(0)
    statistics = line_statistics()
    return Surrogate(
        FNO(line(), n_modes=8, width=6, n_layers=2),
        Normaliser.fitted(line(), statistics),
        trained_range=trained_range(line(), statistics),
        data={"hash": "abc"},
    )


def on_a_plane() -> Surrogate:
    torch.manual_seed(0)
    statistics = plane_statistics()
    return Surrogate(
        FNO(plane(), n_modes=(4, 4), width=4, n_layers=1, position=True, padding=0.2),
        Normaliser.fitted(plane(), statistics),
        trained_range=trained_range(plane(), statistics),
    )


@pytest.mark.parametrize("make", [on_a_line, on_a_plane])
def test_save_and_load_are_bit_equal(make, tmp_path: Path, generator):
    surrogate = make()
    surrogate.add_metrics({"test/rollout_relative_l2": 0.01})
    surrogate.save(tmp_path / "s.safetensors")
    loaded = duhamel.load(tmp_path / "s.safetensors")
    problem = surrogate.problem
    u = torch.randn(2, 1, *problem.grid.shape, generator=generator)
    params = Parameters(
        torch.full((2, len(problem.scalars)), 0.01), torch.ones(2, len(problem.coefficients), *problem.grid.shape)
    )
    assert torch.equal(loaded(u, params), surrogate(u, params))
    assert loaded.card == surrogate.card
    assert loaded.problem == problem
    assert [f.name for f in tmp_path.iterdir()] == ["s.safetensors"]


@pytest.mark.parametrize("viscosity", [0.0, -1e-3])
def test_what_a_logarithm_cannot_take_is_refused(viscosity, generator):
    """NaN would pass the warning about the trained range unseen."""
    surrogate = on_a_line()
    assert surrogate.normaliser.scalars.log.tolist() == [True]
    with pytest.raises(ValueError, match="viscosity must be positive, for its logarithm is taken"):
        surrogate.solve(torch.randn(1, 32, generator=generator), {"viscosity": viscosity})
    permeable = on_a_plane()
    permeable.normaliser.coefficients.log.fill_(True)
    with pytest.raises(ValueError, match="permeability must be positive"):
        permeable.solve(None, {"permeability": torch.zeros(12, 12)})


def test_solve_is_the_rollout_in_physical_units(generator):
    surrogate = on_a_line()
    u0 = torch.randn(3, 1, 32, generator=generator)
    solution = surrogate.solve(u0, {"viscosity": 0.01}, n_steps=4)
    u, params = u0, Parameters(torch.full((3, 1), 0.01), torch.zeros(3, 0, 32))
    for step in range(1, 5):
        u = surrogate(u, params)
        torch.testing.assert_close(solution.u[:, step], u)
    torch.testing.assert_close(solution.u[:, 0], u0)
    assert solution.dt == surrogate.problem.dt


def test_solve_on_another_resolution_and_without_a_batch_axis():
    solution = on_a_line().solve(torch.zeros(1, 64), {"viscosity": torch.tensor(0.01)}, n_steps=2)
    assert solution.u.shape == (1, 3, 1, 64)
    assert solution.grid.shape == (64,)


def test_a_stationary_problem_needs_its_coefficients_alone():
    permeability = torch.full((12, 12), 3.0)
    surrogate = on_a_plane()
    solution = surrogate.solve(None, {"permeability": permeability})
    expected = surrogate(torch.zeros(1, 1, 12, 12), Parameters(torch.zeros(1, 0), permeability[None, None]))
    torch.testing.assert_close(solution.u[:, 1], expected)


def test_outside_the_trained_range_it_warns_with_numbers():
    with pytest.warns(OutsideTrainedRange, match=r"viscosity from 0.5 to 0.5 asked for, trained on \[0.001, 0.1\]"):
        on_a_line().solve(torch.zeros(1, 32), {"viscosity": 0.5}, n_steps=1)
    with pytest.warns(OutsideTrainedRange, match=r"permeability from 20 to 20 asked for, trained on \[3, 12\]"):
        on_a_plane().solve(None, {"permeability": torch.full((12, 12), 20.0)})


def test_wrong_inputs_are_named():
    surrogate = on_a_line()
    with pytest.raises(ValueError, match=r"parameters \['nu'\] given, the surrogate takes \['viscosity'\]"):
        surrogate.solve(torch.zeros(1, 32), {"nu": 0.01})
    with pytest.raises(ValueError, match="expected .batch, 1, 1 axes of space"):
        surrogate.solve(torch.zeros(2, 32), {"viscosity": 0.01})
    for n_scalars, n_fields in ((3, 0), (0, 0), (1, 2)):
        params = Parameters(torch.ones(1, n_scalars), torch.ones(1, n_fields, 32))
        with pytest.raises(ValueError, match=f"{n_scalars} numbers and {n_fields} fields, the surrogate takes 1 and 0"):
            surrogate.solve(torch.zeros(1, 32), params)
    with pytest.raises(ValueError, match=r"states on .32,. points are said to lie on a grid of .64,."):
        surrogate.solve(torch.zeros(1, 32), {"viscosity": 0.01}, grid=surrogate.problem.grid.with_shape((64,)))


def test_metrics_that_are_not_finite_are_null_in_the_card(tmp_path: Path):
    surrogate = on_a_line()
    surrogate.add_metrics({"a": 1.0, "b": math.inf, "c": math.nan})
    surrogate.save(tmp_path / "s.safetensors")
    assert duhamel.load(tmp_path / "s.safetensors").card["metrics"] == {"a": 1.0, "b": None, "c": None}


def test_a_saved_operator_does_not_depend_on_what_the_defaults_will_be(tmp_path: Path):
    on_a_line().save(tmp_path / "s.safetensors")
    saved = header_of(tmp_path / "s.safetensors")["operator"]
    assert set(saved) == {"_target_", *inspect.signature(FNO).parameters} - {"problem"}
    assert (saved["lifting"], saved["spectral_precision"], saved["weight"]) == (2.0, None, "dense")


def test_a_stationary_problem_takes_no_guess_and_one_step():
    """A second step would add the mean solution once more, a guess itself."""
    given = {"permeability": torch.full((12, 12), 3.0)}
    for u0, n_steps in ((None, 2), (torch.ones(1, 12, 12), 1)):
        with pytest.raises(ValueError, match="one step from a guess of zeros"):
            on_a_plane().solve(u0, given, n_steps)


def test_one_state_serves_many_parameters_and_one_set_many_states(generator):
    surrogate, u0 = on_a_line(), torch.randn(1, 32, generator=generator)
    together = surrogate.solve(u0, {"viscosity": torch.tensor([0.01, 0.02, 0.03])}).u
    alone = [surrogate.solve(u0, {"viscosity": nu}).u for nu in (0.01, 0.02, 0.03)]
    torch.testing.assert_close(together, torch.cat(alone))
    states = torch.stack([u0, 2 * u0])
    one = surrogate.solve(states, Parameters(torch.tensor([[0.01]]), torch.zeros(1, 0, 32))).u
    torch.testing.assert_close(one, surrogate.solve(states, {"viscosity": 0.01}).u)


def test_samples_that_do_not_match_and_fields_of_another_shape_are_named(generator):
    with pytest.raises(ValueError, match="2 states are given with parameters of 3 samples"):
        on_a_line().solve(torch.zeros(2, 1, 32), {"viscosity": torch.full((3,), 0.01)})
    for shape in ((), (12,)):
        with pytest.raises(ValueError, match="permeability of shape"):
            on_a_plane().solve(None, {"permeability": torch.full(shape, 3.0)})


def test_double_precision_reaches_the_parameters():
    solution = on_a_line().double().solve(torch.zeros(1, 32), {"viscosity": 0.01})
    assert solution.params.scalars.item() == 0.01


def test_a_rollout_that_blows_up_names_its_step():
    surrogate = on_a_line()
    surrogate.normaliser.increment_scale.fill_(1e30)
    with pytest.raises(ValueError, match="not finite from step 2 of 3"):
        surrogate.solve(torch.zeros(1, 32), {"viscosity": 0.01}, n_steps=3)


def header_of(path: Path) -> dict:
    content = path.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["duhamel"])


@pytest.mark.parametrize(
    "target",
    ["os.system", "duhamel.operators.load", "duhamel.operators.card.build", "duhamel.operators.Operator", "FNO"],
)
def test_foreign_targets_are_refused(target, tmp_path: Path):
    surrogate = on_a_line()
    surrogate.save(tmp_path / "good.safetensors")
    card = header_of(tmp_path / "good.safetensors")
    card["operator"]["_target_"] = target
    save_file(surrogate.state_dict(), tmp_path / "evil.safetensors", metadata={"duhamel": json.dumps(card)})
    with pytest.raises(ValueError, match=r"evil.safetensors: operator .* is not an operator of duhamel.operators"):
        duhamel.load(tmp_path / "evil.safetensors")


def test_files_that_are_no_surrogates_are_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"absent.safetensors"):
        duhamel.load(tmp_path / "absent.safetensors")
    (tmp_path / "text.safetensors").write_text("not tensors")
    with pytest.raises(ValueError, match="not a safetensors file"):
        duhamel.load(tmp_path / "text.safetensors")
    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not a surrogate"):
        duhamel.load(tmp_path / "other.safetensors")


def test_persistence_as_a_surrogate_repeats_its_state():
    statistics = line_statistics()
    surrogate = Surrogate(
        Persistence(line()), Normaliser.fitted(line(), statistics), trained_range=trained_range(line(), statistics)
    )
    u0 = torch.linspace(-1, 1, 32)[None, None]
    solution = surrogate.solve(u0, {"viscosity": 0.01}, n_steps=5)
    torch.testing.assert_close(solution.u, u0[:, None].expand(1, 6, 1, 32))


def test_loading_imports_neither_the_compiler_nor_a_rival(tmp_path: Path):
    on_a_line().save(tmp_path / "s.safetensors")
    program = (
        f"import duhamel, sys; duhamel.load({str(tmp_path / 's.safetensors')!r}); "
        "print([m for m in ('torch._dynamo', 'neuralop', 'lightning', 'h5py') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("header", [4 << 30, (1 << 64) - 1])
def test_a_header_that_claims_gigabytes_is_refused(header, tmp_path: Path):
    path = tmp_path / "evil.safetensors"
    path.write_bytes(header.to_bytes(8, "little") + b'{"duhamel": "{}"}')
    with pytest.raises(ValueError, match="evil.safetensors: not a safetensors file"):
        Surrogate.load(path)
