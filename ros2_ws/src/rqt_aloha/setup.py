"""Installs the plugin where rqt looks for it, and `ros2 run rqt_aloha panel`."""

from setuptools import setup

NAME = "rqt_aloha"

setup(
    name=NAME,
    version="0.1.0",
    description="The ALOHA stack in rqt",
    maintainer="ALOHA stack maintainers",
    maintainer_email="maintainers@aloha-stack.example",
    license="Apache-2.0",
    packages=[NAME],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml", "plugin.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=True,
    entry_points={"console_scripts": [f"panel = {NAME}.panel:main"]},
)
