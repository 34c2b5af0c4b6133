"""The packages declare what the repository holds; nothing in it ties it to one machine."""

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from aloha_stack import cli

ROOT = Path(__file__).resolve().parents[1]
INTERFACES = ROOT / "ros2_ws/src/aloha_interfaces"
PACKAGES = [ROOT, INTERFACES, ROOT / "ros2_ws/src/rqt_aloha"]
PACKAGES += [ROOT / "requirements/interfaces/tf2_msgs"]
IDENTITY = [path.name if path != ROOT else "aloha_stack" for path in PACKAGES]

# Whole words that must not occur, and what they would give away.
FORBIDDEN = {
    r"(?<![\w.~-])/(?:work|root|home|Users)/[\w.]": "a path of one machine",
    r"(?<![\w.~-])/tmp/w\b": "a path of one machine",
    r"\b(?:pypi|pythonhosted|npmjs|artifactory|nexus)\.[a-z]+": "a package registry",
    r"(?:--(?:extra-)?index-url|--find-links|--trusted-host)[ =]\w": "a package registry",
    r"[\w.+-]+@(?!aloha-stack\.example\b)[\w-]+\.(?!srv|service|py)[a-z]{2,}": "an e-mail address",
}
ALLOWED = {"/home/somebody"}


def tracked_files() -> list[Path]:
    """All text files that git holds or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    files = [ROOT / name for name in listed if name]
    return [file for file in files if file.is_file() and not file.is_symlink()]


def traces(text: str) -> list[str]:
    """What `text` says of one machine, one registry or one person."""
    return [
        f"{what}: {match.group()}"
        for pattern, what in FORBIDDEN.items()
        for match in re.finditer(pattern, text)
        if not any(match.group() in allowed for allowed in ALLOWED)
    ]


def text_of(data: bytes) -> str:
    """All of a text file; of others what can be read: among millions of weights any few letters
    occur by chance."""
    if b"\0" in data:
        data = b"\n".join(re.findall(rb"[ -~]{16,}", data))
    return data.decode(errors="ignore")


def test_what_can_be_read_in_a_binary_file_counts_too() -> None:
    address = b"somebody@" + b"example.com"
    assert traces(text_of(b"\0\1weights of " + address + b" and more\0"))
    assert not traces(text_of(b"\0\1YD" + b"@" + b"Y.cz\2\0"))


def test_no_file_names_a_machine_a_registry_or_a_person() -> None:
    found = {}
    for file in tracked_files():
        if file == Path(__file__):
            continue
        found[str(file.relative_to(ROOT))] = traces(text_of(file.read_bytes()))
    assert len(found) > 50
    assert {name: hits for name, hits in found.items() if hits} == {}


@pytest.mark.parametrize(
    "text",
    [
        "open('/home/jane/episodes')",
        "--find-links=wheels",
        "pip install --index-url https://host/simple",
        "https://pypi.org/simple",
        "jane.doe@lab.edu",
    ],
)
def test_a_trace_is_found(text: str) -> None:
    assert traces(text)


def node_modules() -> set[str]:
    folder = ROOT / "src/aloha_stack/nodes"
    return {f.stem for f in folder.glob("*.py") if re.search(r"^def main\(", f.read_text(), re.M)}


def test_every_node_is_an_executable_of_the_package() -> None:
    declared = re.search(r"^NODES = (\(.*?\))$", (ROOT / "setup.py").read_text(), re.M | re.S)
    assert declared is not None
    assert set(re.findall(r'"(\w+)"', declared.group(1))) == node_modules()


def test_every_node_of_a_launch_file_is_an_executable_of_the_package() -> None:
    for file in (ROOT / "launch").glob("*.launch.xml"):
        for node in ElementTree.parse(file).iter("node"):
            assert node.get("exec") in node_modules(), file.name


def test_every_interface_file_is_generated() -> None:
    listed = re.findall(
        r'"((?:msg|srv|action)/[^"]+)"', (INTERFACES / "CMakeLists.txt").read_text()
    )
    files = [
        f"{folder}/{file.name}"
        for folder in ("msg", "srv", "action")
        for file in (INTERFACES / folder).iterdir()
    ]
    assert sorted(listed) == sorted(files)


def test_every_message_package_that_is_imported_is_declared() -> None:
    manifest = ElementTree.parse(ROOT / "package.xml")
    declared = {element.text for element in manifest.iter() if element.tag.endswith("depend")}
    pattern = re.compile(
        r"^\s*(?:from|import) (\w+_msgs|\w+_interfaces|std_srvs|rclpy|ament_\w+)\b", re.M
    )
    sources = (ROOT / "src").rglob("*.py")
    imported = {name for file in sources for name in pattern.findall(file.read_text())}
    assert "rclpy" in imported
    assert imported <= declared


@pytest.mark.parametrize("folder", PACKAGES, ids=IDENTITY)
def test_package_manifest_and_setup_agree(folder: Path) -> None:
    manifest = ElementTree.parse(folder / "package.xml").getroot()
    assert manifest.get("format") == "3"
    name, version = manifest.findtext("name"), manifest.findtext("version")
    setup = folder / "setup.py"
    if setup.exists():
        assert f'NAME = "{name}"' in setup.read_text()
        assert f'version="{version}"' in setup.read_text()
        assert (folder / "resource" / str(name)).is_file()
        assert f"$base/lib/{name}" in (folder / "setup.cfg").read_text()


def test_requirements_are_pinned_exactly() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        lines = [s for s in file.read_text().splitlines() if s and not s.startswith("#")]
        assert lines
        for line in lines:
            assert re.fullmatch(r"[\w.-]+==[\w.+]+", line), f"{file.name}: {line}"


def test_the_readme_names_only_commands_that_exist() -> None:
    used = set(re.findall(r"\./aloha ([a-z]+)", (ROOT / "README.md").read_text()))
    assert used <= {command.name for command in cli.COMMANDS}
