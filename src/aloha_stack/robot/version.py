"""Which software this is, for what it writes to say."""

from functools import cache
from xml.etree import ElementTree

from aloha_stack.robot.share import share_folder


@cache
def software() -> str:
    """Name and version, as package.xml has them: aloha_stack 0.1.0."""
    package = ElementTree.parse(share_folder() / "package.xml")
    return f"{package.findtext('name')} {package.findtext('version')}"
