"""Checkpoints that are whole or not there: written aside, flushed, sealed by a checksum, then renamed."""

import hashlib
import os
import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

# The seal is the comment that ends a zip archive: torch reads a sealed file as any other. Its digest is that of the
# file as torch wrote it, with a comment of length zero.
PREFIX = b"duhamel-sha256:"
SEAL = len(PREFIX) + 64


class SealedCheckpoints(CheckpointIO):
    """Atomic, checked checkpoints; of `keep_previous` the one before is kept, and loaded where the last is damaged.

    Loading runs nothing that a file holds (`weights_only`). Raises FileNotFoundError, or ValueError naming the file,
    for one that is truncated, altered or not ours.
    """

    def __init__(self, *, keep_previous: str = "last.ckpt") -> None:
        self.keep_previous = keep_previous

    def save_checkpoint(
        self, checkpoint: Mapping[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("w+b") as file:
                torch.save(checkpoint, file)
                file.seek(0)
                comment = PREFIX + hashlib.file_digest(file, "sha256").hexdigest().encode()
                file.seek(-2, os.SEEK_END)
                file.write(struct.pack("<H", len(comment)) + comment)
                file.flush()
                os.fsync(file.fileno())
        except BaseException as error:
            if not isinstance(error, OSError):
                error = _behind(error)
            if partial.exists():
                partial.unlink()
            if isinstance(error, OSError):
                raise OSError(
                    f"{path}: cannot be written ({error.strerror}); the checkpoint before it stands: resume from it"
                ) from error
            raise
        replaced = path.with_name(f".{path.name}.replaced")
        replaced.unlink(missing_ok=True)
        if keep := path.name == self.keep_previous and path.exists():
            # A second name, not a move: at every moment `path` names a whole file.
            os.link(path, replaced)
        os.replace(partial, path)
        if keep:
            os.replace(replaced, previous(path))
        _flush_folder(path.parent)

    def load_checkpoint(
        self, path: str | os.PathLike[str], map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        path = Path(path)
        try:
            return _load(path)
        except (ValueError, FileNotFoundError) as error:
            older = previous(path)
            if path.name != self.keep_previous or not older.is_file():
                raise
            warnings.warn(f"{error}; going on from the one before, {older}", stacklevel=2)
            return _load(older)

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        Path(path).unlink(missing_ok=True)


def previous(path: Path) -> Path:
    """Where the checkpoint before the last is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    with path.open("rb") as file:
        if not _intact(file.read()):
            raise ValueError(f"{path}: not a whole checkpoint of duhamel (its checksum is absent or does not fit)")
        file.seek(0)
        try:
            # On the CPU: Lightning puts each part where it belongs.
            loaded = torch.load(file, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ValueError(f"{path}: holds what no checkpoint of duhamel holds, nothing of it was run") from error
    if not isinstance(loaded, dict):
        raise ValueError(f"{path}: a checkpoint is a dictionary, this is a {type(loaded).__name__}")
    return loaded


def _behind(error: BaseException) -> BaseException:
    """What the system said, where torch reports a failed write in words of its own."""
    behind = error.__context__
    return behind if isinstance(behind, OSError) else error


def _intact(content: bytes) -> bool:
    comment = content[-SEAL:]
    if len(content) < SEAL + 22 or not comment.startswith(PREFIX):
        return False
    digest = hashlib.sha256(memoryview(content)[: -SEAL - 2])
    digest.update(b"\0\0")
    return comment == PREFIX + digest.hexdigest().encode()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
