"""Keep a short process that holds keys out of core dumps and debuggers.

Python cannot promise to wipe memory: copies of a seed remain until the process ends. So
processes with keys are short, leave no core file, and cannot be attached to by others of
the same user.
"""

import contextlib
import ctypes
import resource

PR_SET_DUMPABLE = 4


def harden_process() -> None:
    """Forbid core files and attaching, as far as this system lets us."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
