"""Files made to do harm, and files that are damaged: refused by name, with nothing run and nothing exhausted."""

import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from duhamel.datasets import guard, handles, open_source
from duhamel.datasets.array_files import open_arrays
from duhamel.datasets.convert import main as convert
from duhamel.datasets.mapping import read_mapping


def refused(path: Path, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        open_source(path)
    assert path.name in str(caught.value)


def test_a_link_to_another_file_is_refused(burgers_like, tmp_path: Path):
    secret = burgers_like("secret.hdf5")
    path = burgers_like("data.hdf5")
    with h5py.File(path, "a") as file:
        del file["tensor"]
        file["tensor"] = h5py.ExternalLink(str(secret), "/tensor")
    refused(path, "'tensor' links to another file, .*secret.hdf5")
    with h5py.File(path, "a") as file:  # also behind a link within the file, and where no reader would look
        del file["tensor"]
        file.create_group("hidden")["x"] = h5py.ExternalLink("/dev/stdin", "/tensor")
        file["tensor"] = h5py.SoftLink("/hidden/x")
    refused(path, "'hidden/x' links to another file, /dev/stdin")
    with pytest.raises(SystemExit, match="links to another file"):
        convert([str(path), str(tmp_path / "out.hdf5"), "--channel", "u=tensor:btx"])


def test_values_kept_in_another_file_are_refused(burgers_like, tmp_path: Path):
    (tmp_path / "private.txt").write_bytes(bytes(10_000))
    path = burgers_like("data.hdf5")
    with h5py.File(path, "a") as file:
        del file["tensor"]
        file.create_dataset("tensor", (6, 11, 16), np.float32, external=[(str(tmp_path / "private.txt"), 0, 10_000)])
    refused(path, "dataset 'tensor' keeps its values in another file, .*private.txt")


@pytest.mark.parametrize("name", ["../outside.hdf5", "parts/../../outside.hdf5", "{folder}/outside.hdf5"])
def test_a_virtual_data_set_stays_in_its_folder(name, burgers_like, tmp_path: Path):
    outside, folder = burgers_like("outside.hdf5"), tmp_path / "data"
    folder.mkdir()
    path = burgers_like("a.hdf5").rename(folder / "a.hdf5")
    layout = h5py.VirtualLayout((6, 11, 16), np.float32)
    layout[...] = h5py.VirtualSource(name.format(folder=tmp_path), "tensor", (6, 11, 16))
    with h5py.File(path, "a") as file:
        del file["tensor"]
        file.create_virtual_dataset("tensor", layout)
    assert outside.is_file()
    refused(path, "joins .*, which does not lie in its folder")


def test_what_a_virtual_data_set_joins_is_inspected_too(burgers_like, tmp_path: Path):
    part, path = burgers_like("part.hdf5"), burgers_like("whole.hdf5")
    layout = h5py.VirtualLayout((6, 11, 16), np.float32)
    layout[...] = h5py.VirtualSource("part.hdf5", "tensor", (6, 11, 16))
    with h5py.File(path, "a") as file:
        values = file["tensor"][...]
        del file["tensor"]
        file.create_virtual_dataset("tensor", layout)
    assert np.array_equal(open_source(path).read(1, 0, 11)[:, 0], values[1])
    handles.close_all()
    with h5py.File(part, "a") as file:
        file["elsewhere"] = h5py.ExternalLink("/etc/hostname", "/x")
    os.utime(path)
    refused_by = pytest.raises(ValueError, match="part.hdf5: 'elsewhere' links to another file")
    with refused_by:
        open_source(path)


@pytest.mark.parametrize("kind", ["never written", "gzip of gzip", "one chunk"])
def test_a_decompression_bomb_is_refused_before_it_unfolds(kind, burgers_like, tmp_path: Path):
    path = burgers_like("bomb.hdf5")
    with h5py.File(path, "a") as file:
        del file["tensor"], file["x-coordinate"]
        n = 1 << 26
        file.create_dataset("x-coordinate", (n,), np.float32)
        if kind == "never written":
            file.create_dataset("tensor", (6, 11, n), np.float32)
        elif kind == "gzip of gzip":
            create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            create.set_chunk((1, 1, n))
            create.set_deflate(9)
            create.set_deflate(9)
            space = h5py.h5s.create_simple((1, 1, n))
            h5py.h5d.create(file.id, b"tensor", h5py.h5t.IEEE_F32LE, space, dcpl=create)
            file["tensor"][0, 0] = 0
        else:
            del file["x-coordinate"]
            file["x-coordinate"] = np.zeros(4, np.float32)
            file.create_dataset("tensor", (1, 1, 1 << 29), np.float32, chunks=(1, 1, (1 << 29) - 1))
    assert path.stat().st_size < 1 << 20
    begun = time.monotonic()
    refused(path, "declares .* bytes, of which .* are stored")
    assert time.monotonic() - begun < 5


def test_chunks_larger_than_memory_should_hold_are_refused(burgers_like, monkeypatch):
    monkeypatch.setattr(guard, "LARGEST_CHUNK", 1000)
    path = burgers_like("chunks.hdf5")
    with h5py.File(path, "a") as file:
        values = file["tensor"][...]
        del file["tensor"]
        file.create_dataset("tensor", data=values, chunks=(2, 11, 16))
    refused(path, "dataset 'tensor' has chunks of 1408 bytes, read are at most 1000")


def test_a_zip_bomb_is_refused(tmp_path: Path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("u.npy", "w") as entry:
        np.lib.format.write_array_header_1_0(entry, {"descr": "<f8", "fortran_order": False, "shape": (1 << 24,)})
        for _ in range(1 << 7):
            entry.write(bytes(1 << 20))
    with pytest.raises(ValueError, match=r"bomb.npz: 'u.npy' declares .* bytes, of which .* are stored"):
        open_arrays(path)


class Attack:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("suffix", [".pt", ".npy", ".npz"])
def test_pickles_among_arrays_are_refused_and_not_run(suffix, tmp_path: Path):
    path, trace = tmp_path / f"data{suffix}", tmp_path / "run"
    if suffix == ".pt":
        torch.save({"u": Attack(trace)}, path)
    else:
        (np.save if suffix == ".npy" else np.savez)(path, np.array([Attack(trace)], dtype=object))
    with pytest.raises(ValueError, match=f"data{suffix}"):
        open_arrays(path)
    assert not trace.exists()


def test_yaml_of_a_mapping_or_a_configuration_makes_no_objects(seed_groups, tmp_path: Path):
    trace, mapping = tmp_path / "run", tmp_path / "mapping.yaml"
    mapping.write_text(f"axes: !!python/object/apply:os.mkdir ['{trace}']\n")
    with pytest.raises(ValueError, match="mapping.yaml: .*could not determine a constructor"):
        read_mapping(mapping)
    path = seed_groups("txy", 1, [{"gravity": f"!!python/object/apply:os.mkdir ['{trace}']"}])
    refused(path, "could not determine a constructor")
    assert not trace.exists()


@pytest.mark.parametrize("kind", ["text", "compound", "complex"])
def test_elements_that_are_not_numbers_are_refused(kind, burgers_like):
    path = burgers_like("kinds.hdf5")
    dtype = {"text": "S3", "compound": [("a", "f4")], "complex": "c8"}[kind]
    with h5py.File(path, "a") as file:
        del file["tensor"]
        file["tensor"] = np.zeros((6, 11, 16), dtype)
    with pytest.raises(ValueError, match="kinds.hdf5: dataset 'tensor' holds .*, numbers are expected"):
        open_source(path).read(0, 0, 2)


def test_a_file_that_hangs_or_crashes_hdf5_ends_the_child_alone(burgers_like, monkeypatch):
    path = burgers_like("a.hdf5")
    monkeypatch.setattr(guard, "PATIENCE", 0.2)
    with pytest.raises(ValueError, match="a.hdf5: opening it takes longer than 0.2 s"):
        guard.survived(path, lambda: time.sleep(60))
    with pytest.raises(ValueError, match="a.hdf5: opening it ends by SIGABRT"):
        guard.survived(path, os.abort)
    guard.survived(path, lambda: 1 / 0)  # an exception is for the caller to meet
    guard.survived(path, lambda: os.abort())  # this version of the file has passed


def test_what_cannot_be_opened_says_why(tmp_path: Path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="absent.hdf5"):
        open_source(tmp_path / "absent.hdf5")
    (tmp_path / "text.hdf5").write_text("temperature\n1.0\n")
    (tmp_path / "empty.hdf5").write_text("")
    for name in ("text.hdf5", "empty.hdf5"):
        refused(tmp_path / name, "not an HDF5 file; .* turns other kinds into one")

    def denied(self: Path, *args: object, **kwargs: object) -> None:  # root is never denied
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(PermissionError, match="text.hdf5"):
        open_source(tmp_path / "text.hdf5")


@pytest.mark.slow
def test_damage_is_refused_or_harmless_in_every_layout(
    burgers_like, flow_file, darcy_file, incompressible_file, well_file, seed_groups
):
    simulation = {"Du": 1e-3, "Dv": 5e-3, "k": 5e-3}
    files = [burgers_like(), flow_file, darcy_file, incompressible_file, well_file]
    files.append(seed_groups("tyx", 2, [simulation, simulation]))
    # In a process of its own: a fork of this one takes ten times longer.
    command = [sys.executable, "-m", "duhamel.benchmark.fuzz", *map(str, files), "--cases", "150", "--limit", "20"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(re.findall(r"│ (\w+) +│ (\d+) +│", done.stdout))
    assert counts.keys() == {"read", "refused"} and int(counts["refused"]) > 40, done.stdout
