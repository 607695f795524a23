"""Memory of a process and of all that it started, from Linux's /proc."""

from pathlib import Path


def resident(pid: int) -> int:
    """Bytes of a process and its descendants that lie in memory, shared pages divided among those that share them.

    Raises NotImplementedError where there is no /proc. A descendant that ends meanwhile counts nothing.
    """
    return _proportional(pid) + sum(_of_descendant(child) for child in _descendants(pid))


def _descendants(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.is_dir():
        if Path("/proc/self/task").is_dir():
            return []
        raise NotImplementedError("memory is measured from /proc, which this system does not have")
    found = []
    for task in tasks.iterdir():
        try:
            children = [int(c) for c in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += [d for child in children for d in (child, *_descendants(child))]
    return found


def _of_descendant(pid: int) -> int:
    try:
        return _proportional(pid)
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _proportional(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise NotImplementedError(f"/proc/{pid}/smaps_rollup has no Pss")
