"""One twin per folder."""

from pathlib import Path

import pytest

from aloha_stack.twin.port_folder import FolderTakenError, PortFolder


def test_a_folder_belongs_to_one_twin_until_released(tmp_path: Path) -> None:
    folder = PortFolder(tmp_path / "ports")
    with pytest.raises(FolderTakenError, match=r"ports in .*/ports.*ALOHA_PORTS.*ROS_DOMAIN_ID"):
        PortFolder(tmp_path / "ports")
    folder.release()
    PortFolder(tmp_path / "ports").release()
