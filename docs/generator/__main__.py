"""Writes docs/reference from the code: commands, launch files, parameters, topics, messages.

A page that is not as the code says fails the tests; running this mends it.
"""

import argparse
import sys


def main() -> int:
    """0; with --check 1 if a page is out of date."""
    parser = argparse.ArgumentParser(
        prog="./aloha python docs/generator",
        description=__doc__,
        epilog="example: ./aloha python docs/generator --check",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing, name stale pages")
    options = parser.parse_args()
    from made_nodes import made_nodes  # only here: they import every node
    from pages import REFERENCE, pages, stale_pages

    with made_nodes() as nodes:
        stale = stale_pages(pages(nodes))
    for name, text in stale.items():
        print(f"{name} is out of date" if options.check else f"wrote docs/reference/{name}")
        if not options.check:
            (REFERENCE / name).write_text(text)
    return int(bool(stale) and options.check)


if __name__ == "__main__":
    sys.exit(main())
