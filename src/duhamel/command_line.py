"""Errors as a user should meet them: one message that says what is wrong and what to do, and an exit status."""

import difflib
import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps

from hydra.errors import HydraException, InstantiationException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

# What input can be wrong in; anything else is a defect, whose traceback is wanted.
EXPECTED = (ValueError, OSError, NotImplementedError, FloatingPointError, HydraException, OmegaConfBaseException)


def reported(main: Callable[[], None]) -> Callable[[], None]:
    """An entry point whose expected errors end with one message on standard error and exit status 1.

    `debug=true` on the command line lets the traceback through.
    """

    @wraps(main)
    def run() -> None:
        # Hydra then leaves errors to its caller, with their causes.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        if "debug=true" in sys.argv:
            return main()
        try:
            return main()
        except EXPECTED as error:
            text = message(error)
        except TypeError as error:
            # An option that the configuration adds to what takes none of that name.
            if "unexpected keyword argument" not in str(error):
                raise
            text = message(error)
        print(f"error: {text}", file=sys.stderr)
        sys.exit(1)

    return run


def message(error: BaseException) -> str:
    """What an error says, in the words of who found it, and which name was perhaps meant.

    >>> message(ValueError("data.hdf5: empty"))
    'data.hdf5: empty'
    """
    if isinstance(error, MissingConfigException) and error.options:
        wanted = str(error.missing_cfg_file)
        group, _, name = wanted.rpartition("/")
        return f"{group} {name!r} is unknown{meant(name, error.options)}; known are {', '.join(sorted(error.options))}"
    # The innermost is who found it: Hydra wraps what a constructor raises, and errors of the configuration.
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__
    inner = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    if isinstance(inner, OmegaConfBaseException) and inner.key is not None and inner.parent_node is not None:
        known = [str(key) for key in getattr(inner.parent_node, "keys", list)()]
        place = str(inner.full_key or inner.key)
        if known and str(inner.key) not in known:
            return f"{place}: no such key{meant(str(inner.key), known)}; known are {', '.join(sorted(known))}"
    # torch puts what a worker process raised behind its traceback.
    said = str(error).rstrip().splitlines()
    return said[-1].partition(": ")[2] if "Original Traceback" in str(error) else str(error) or type(error).__name__


def meant(name: str, known: Sequence[str]) -> str:
    """The question which of the known names was meant, empty where none is close.

    >>> meant("max_epoch", ["max_epochs", "max_steps", "precision"])
    ' (did you mean max_epochs?)'
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
