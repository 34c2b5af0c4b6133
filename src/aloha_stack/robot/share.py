"""Where config/ and launch/ are: in the checkout, or in the installed share folder."""

import os
from pathlib import Path


def share_folder() -> Path:
    """The folder that holds config/, launch/ and models/.

    A checkout comes first; an installed package is found through AMENT_PREFIX_PATH.
    """
    checkout = Path(__file__).resolve().parents[3]
    if (checkout / "config/robots").is_dir() and (checkout / "package.xml").is_file():
        return checkout
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        share = Path(prefix) / "share/aloha_stack"
        if prefix and (share / "config/robots").is_dir():
            return share
    raise FileNotFoundError(
        "config/robots was found neither beside the sources nor in AMENT_PREFIX_PATH; "
        "source the workspace's setup file, or run from a checkout"
    )
