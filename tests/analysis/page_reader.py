"""What a browser would see of a page."""

import html.parser


class PageReader(html.parser.HTMLParser):
    """Its words, where pictures and links come from, ids, classes, and tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words = ""
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.kinds: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        self.ids += [value for name, value in attrs if name == "id"]
        self.kinds += [value for name, value in attrs if name == "class"]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data
