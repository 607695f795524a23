"""Trainings in forks of one process: importing torch anew would take longer than a small training."""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path


def started(arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> int:
    """Process id of a fork, in a group of its own, that runs train.py of the current folder and prints to `log`."""
    pid = os.fork()
    if pid:
        # In both processes: whoever comes first, the group is there when this returns.
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)
        return pid
    os.setpgid(0, 0)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    os.environ.update(environment or {})
    status = 1
    try:
        sys.argv = ["train.py", *arguments]
        importlib.import_module("train").main()
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def finished(pid: int) -> int:
    """Waits for the end of a fork; its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
