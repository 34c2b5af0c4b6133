"""Installs nodes, and launch files, robot files and models where ROS looks for what is shared."""

from pathlib import Path

from setuptools import find_packages, setup

NAME = "aloha_stack"
SHARE = f"share/{NAME}"
NODES = (
    *(
        "arm_bridge",
        "bench_faults",
        "bench_images",
        "bench_loop",
        "bench_record",
        "call",
        "camera",
        "chunk_player",
        "description",
        "foreign_tool",
        "monitor",
        "operator",
        "policy",
        "recorder",
        "replay",
    ),
    *("safety", "session", "teleop", "twin"),
)


def shared_files(folder: str) -> list[tuple[str, list[str]]]:
    """`folder` with its subfolders, as setuptools' data_files under share/."""
    below = sorted(file for file in Path(folder).rglob("*") if file.is_file())
    return [(f"{SHARE}/{file.parent.as_posix()}", [file.as_posix()]) for file in below]


setup(
    name=NAME,
    version="0.1.0",
    description="Control stack for ALOHA-style bimanual robots",
    maintainer="ALOHA stack maintainers",
    maintainer_email="maintainers@aloha-stack.example",
    license="Apache-2.0",
    python_requires=">=3.10",
    package_dir={"": "src"},
    packages=find_packages("src"),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (SHARE, ["package.xml"]),
        *shared_files("config"),
        *shared_files("launch"),
        *shared_files("models"),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    entry_points={"console_scripts": [f"{node} = {NAME}.nodes.{node}:main" for node in NODES]},
)
