"""What this process frees it keeps for its next use, instead of giving it back to the system."""

import ctypes

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # of mallopt(3)
TOP_PAD = 64 << 20
NEVER = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """For the rest of this process' life; False where the C library has no such options.

    glibc maps what is larger than 32 MiB anew each time, and unmaps it when it is freed. A step of
    ACT on pictures of 480x640 has dozens of such maps, and every page of theirs is zeroed by the
    system once more: a fifth of the step (one core, 4.6 s to 3.6 s; the peak of the memory is the
    same).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER, M_TOP_PAD: TOP_PAD}
    return all(mallopt(option, value) == 1 for option, value in wanted.items())
