"""The bytes of an open file, and where a loss of power has left zeros instead of them.

File systems lose whole sectors: a hole begins at a multiple of SECTOR.
"""

import os

SECTOR = 512
_ZEROS = bytes(SECTOR)


class FileBytes:
    """Reads at any place of an open file. Raises OSError."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, position: int, count: int) -> bytes:
        """`count` bytes from `position`, or as many as there are."""
        parts = []
        while count > 0:  # one call gives at most 2 GiB
            part = os.pread(self._descriptor, count, position)
            if not part:
                break
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return b"".join(parts)

    def only_zeros(self, position: int) -> bool:
        """Whether there is nothing else from `position` on."""
        while position < self.size:
            part = self.read(position, 1 << 20)
            if part.count(0) != len(part):
                return False
            position += len(part)
        return True

    def hole(self, begin: int, end: int) -> int | None:
        """Where from `begin` to `end` the first sector is that has nothing but zeros.

        Only the last sector of the file may be shorter.
        """
        first = begin // SECTOR * SECTOR
        data = self.read(first, -(-end // SECTOR) * SECTOR - first)
        index = data.find(_ZEROS)
        while index >= 0:
            aligned = -(-index // SECTOR) * SECTOR
            if data[aligned : aligned + SECTOR] == _ZEROS:
                return max(first + aligned, begin)
            index = data.find(_ZEROS, max(aligned, index + 1))
        tail = len(data) // SECTOR * SECTOR
        if tail < len(data) and not any(data[tail:]):
            return max(first + tail, begin)
        return None
