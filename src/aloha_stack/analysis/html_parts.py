"""Parts of HTML pages that need no other file: escaped words, tables, badges and one look.

The look follows the reader's choice of light or dark, and prints dark on white.
"""

import base64
import html
from collections.abc import Iterable, Sequence

# Okabe and Ito's colours for verdicts (https://jfly.uni-koeln.de/color/), lighter in the dark.
STYLE = """
:root { color-scheme: light dark; --ink: #24292f; --soft: #59636e; --rule: #cdd3da;
  --paper: #ffffff; --shade: #f1f3f5; --good: #d7eef7; --flawed: #fdf0d5; --bad: #fbe0d3;
  --blue: #0072b2; --orange: #e69f00; --red: #d55e00;
  --leader: #97a2ae; --command: #d9622b; --follower: #1f6fb2; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #9aa5b1;
  --rule: #3a424b; --paper: #15191e; --shade: #20262d; --good: #12354a; --flawed: #453410;
  --bad: #4a2413; --leader: #77828e; --command: #f0874f; --follower: #5fb0ee; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } a { color: inherit; }
table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: left;
  vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid var(--rule); }
.numbers td + td, .numbers th + th { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; display: block; margin: .6rem 0 1.4rem; background: #ffffff; }
.verdict { display: inline-block; padding: 0 .6rem; border-radius: .3rem; font-weight: 600;
  border: 2px solid var(--ink); }
.good { background: var(--good); border-color: var(--blue); }
.flawed { background: var(--flawed); border-color: var(--orange); }
.incomplete, .damaged { background: var(--bad); border-color: var(--red); }
.scroll { overflow-x: auto; } .soft { color: var(--soft); }
@media print { body { max-width: none; margin: 0; } .scroll { overflow: visible; }
  .verdict { print-color-adjust: exact; } }
"""


def document(title: str, parts: Iterable[str], style: str = "") -> str:
    """A page of its own; `style` comes after the common one."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def text(words: str) -> str:
    """Words as they are to be read, whatever is in them."""
    return html.escape(words)


def badge(verdict: str, remark: str = "") -> str:
    """A verdict in its colour."""
    return f'<span class="verdict {text(verdict)}">{text(verdict + remark)}</span>'


def items(lines: Sequence[str]) -> str:
    """A list; nothing for none."""
    return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>" if lines else ""


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """With titles all columns but the first are numbers."""
    return marked_table(titles, ([text(cell) for cell in row] for row in rows), bool(titles))


def marked_table(titles: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool) -> str:
    """The same of cells that are HTML; `numbers`: all columns but the first are."""

    def line(cells: Iterable[str], tag: str) -> str:
        return f"<tr>{''.join(f'<{tag}>{cell}</{tag}>' for cell in cells)}</tr>"

    head = line(map(text, titles), "th") if titles else ""
    body = "\n".join(line(row, "td") for row in rows)
    kind = ' class="numbers"' if numbers else ""
    return f'<div class="scroll"><table{kind}>{head}\n{body}</table></div>'


def picture(data: bytes, kind: str, alt: str) -> str:
    """An image of the type `kind` ("png", "jpeg") that is part of the page."""
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return f'<img alt="{text(alt)}" src="{source}">'


def number(value: float | None, digits: int) -> str:
    """Or - where it is not known."""
    return "-" if value is None else f"{value:.{digits}f}"


def percent(share: float | None) -> str:
    """The same of a share, 0 … 1."""
    return "-" if share is None else f"{100 * share:.1f} %"
