"""Files on their way: written under another name, on space that is claimed before, and given theirs when complete."""

import os
import socket
from pathlib import Path


def partial(path: Path) -> Path:
    """Where this process writes a file that will be `path` when it is complete."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.partial")


def publish(written: Path, path: Path) -> None:
    """Give a complete file its name, at once and after its bytes have reached the disk."""
    _flush(written)
    os.replace(written, path)
    _flush(path.parent)


def reserve(path: Path, n_bytes: int) -> None:
    """Claim disk space: a full disk is an OSError now, not a file that HDF5 can neither write nor close later."""
    if hasattr(os, "posix_fallocate"):
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.posix_fallocate(descriptor, 0, n_bytes)
        finally:
            os.close(descriptor)


def remove_abandoned(path: Path) -> None:
    """Remove what killed processes of this machine left of a file."""
    for left in path.parent.glob(f".{path.name}.{socket.gethostname()}.*.partial"):
        if not _alive(int(left.suffixes[-2][1:])):
            left.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
