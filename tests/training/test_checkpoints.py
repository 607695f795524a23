"""A checkpoint is whole or not there, and nothing in it is ever run."""

import os
import pickle
from pathlib import Path

import pytest
import torch

from duhamel.training import SealedCheckpoints
from duhamel.training.checkpoints import previous

STATE = {"weights": torch.arange(1000.0), "loops": {"epoch": 3, "scores": [0.5, None]}}


def saved(folder: Path, state: object = STATE, name: str = "last.ckpt") -> Path:
    SealedCheckpoints().save_checkpoint(state, folder / name)
    return folder / name


def test_a_sealed_file_is_an_ordinary_checkpoint_to_torch(tmp_path: Path):
    path = saved(tmp_path)
    for loaded in (
        SealedCheckpoints().load_checkpoint(path),
        torch.load(path, weights_only=True),
        torch.load(path, weights_only=True, mmap=True),
    ):
        assert torch.equal(loaded["weights"], STATE["weights"])
        assert loaded["loops"] == STATE["loops"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["last.ckpt"]


def test_every_flipped_bit_and_every_cut_is_seen(tmp_path: Path):
    whole = saved(tmp_path, {"weights": torch.arange(8.0)}, "best.ckpt").read_bytes()
    damaged = tmp_path / "damaged.ckpt"
    generator = torch.Generator().manual_seed(0)
    for place in torch.randperm(len(whole), generator=generator)[:200].tolist():
        content = bytearray(whole)
        content[place] ^= 1 << (place % 8)
        for bad in (bytes(content), whole[:place]):
            damaged.write_bytes(bad)
            with pytest.raises(ValueError, match="damaged.ckpt: not a whole checkpoint of duhamel"):
                SealedCheckpoints().load_checkpoint(damaged)


def test_the_last_but_one_is_kept_and_survives_a_damaged_last(tmp_path: Path):
    path = saved(tmp_path, {"step": 1})
    saved(tmp_path, {"step": 2})
    assert SealedCheckpoints().load_checkpoint(path) == {"step": 2}
    path.write_bytes(b"")
    with pytest.warns(UserWarning, match="going on from the one before"):
        assert SealedCheckpoints().load_checkpoint(path) == {"step": 1}
    # The next one replaces the damaged one; the good one is not given up before that is done.
    saved(tmp_path, {"step": 3})
    assert SealedCheckpoints().load_checkpoint(path) == {"step": 3}


def test_the_best_has_no_substitute(tmp_path: Path):
    for step in (1, 2):
        path = saved(tmp_path, {"step": step}, "best.ckpt")
    path.write_bytes(b"")
    assert not previous(path).exists()
    with pytest.raises(ValueError, match="best.ckpt: not a whole checkpoint"):
        SealedCheckpoints().load_checkpoint(path)


def test_a_failed_write_leaves_the_last_one_alone(tmp_path: Path):
    path = saved(tmp_path, {"step": 1})
    with pytest.raises(Exception, match="pickle"):
        SealedCheckpoints().save_checkpoint({"step": lambda: 2}, path)
    assert SealedCheckpoints().load_checkpoint(path) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


class Attack:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_crafted_pickle_is_refused_and_not_run(sealed, tmp_path: Path):
    path, trace = tmp_path / "evil.ckpt", tmp_path / "run"
    if sealed:  # an attacker can seal, too: the checksum is against accidents
        SealedCheckpoints().save_checkpoint({"state_dict": Attack(trace)}, path)
    else:
        path.write_bytes(pickle.dumps(Attack(trace)))
    with pytest.raises(ValueError, match=r"evil.ckpt: (holds what no checkpoint|not a whole checkpoint)"):
        SealedCheckpoints().load_checkpoint(path)
    assert not trace.exists()
