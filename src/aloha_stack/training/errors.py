"""What stops a training, told by name."""


class TrainingError(ValueError):
    """A training cannot begin or go on; the message says why, and how to mend it."""
