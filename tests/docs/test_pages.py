"""Links of the documents lead somewhere, and what they tell to type exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs/reference"
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")],
)
TOLD = [page for page in PAGES if page.parent != REFERENCE and page.name != "CHANGELOG.md"]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Of its headings, as they are made from their words."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    words = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {text.strip().replace(" ", "-") for text in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def commands() -> dict[str, str]:
    """`./aloha NAME` and what its help says, from the reference."""
    text = (REFERENCE / "commands.md").read_text()
    return dict(re.findall(r"^## (\./aloha .+?)\n\n```text\n(.*?)\n```", text, re.M | re.S))


def typed(page: Path) -> list[str]:
    """The commands in its blocks of code and between backticks, continued lines joined."""
    text = page.read_text().replace("\\\n", " ")
    blocks = re.findall(r"^\s*```\w*\n(.*?)^\s*```", text, re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    inline = re.findall(r"`(\./aloha [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    found = [line for line in [*lines, *inline] if line.startswith("./aloha ")]
    return [" ".join(line.partition(" # ")[0].split()) for line in found]


@pytest.mark.parametrize("page", TOLD, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_that_is_told_exists(page: Path) -> None:
    known = commands()
    for line in typed(page):
        words = line.split()
        name = " ".join(words[:3]) if " ".join(words[:3]) in known else " ".join(words[:2])
        if words[1] in ("python", "COMMAND", "test", "--help"):
            continue
        help_text = known.get(name.split("|")[0])
        assert help_text is not None, line
        for option in re.findall(r"(?<=\s)(--[a-z][a-z-]*)", line):
            assert option in help_text or option == "--help", line


@pytest.mark.parametrize("page", TOLD, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_launch_argument_that_is_told_exists(page: Path) -> None:
    text = (REFERENCE / "launch-files.md").read_text()
    files = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    for line in typed(page):
        words = line.split()
        if words[1] == "launch" and len(words) > 2 and words[2] in files:
            for name in (word.partition(":=")[0] for word in words[3:] if ":=" in word):
                assert f"| `{name}` |" in files[words[2]], line
