"""What keeps an experiment from going on."""


class ExperimentError(Exception):
    """The experiment cannot go on; the message says why."""
