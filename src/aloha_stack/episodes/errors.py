"""What can go wrong with episodes; every message names the path and how to mend it."""


class EpisodeError(Exception):
    """An episode or the folder that holds episodes cannot be used; the text says why."""


class FolderError(EpisodeError):
    """The output folder cannot take a recording."""


class SchemaError(EpisodeError):
    """A message definition was not found or not understood."""
