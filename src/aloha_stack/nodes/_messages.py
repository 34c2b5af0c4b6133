"""From the name of a type to its class, for whoever learns at run time what is on a topic."""

import importlib
from typing import Any


def interface_class(type_name: str) -> Any:
    """The class of "package/msg/Name" (or /srv/, /action/).

    Raises ModuleNotFoundError or AttributeError if it is not installed here.
    """
    package, kind, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.{kind}"), name)
