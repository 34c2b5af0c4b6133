"""What learning reads: episodes as steps, chunks and sequences for torch."""
