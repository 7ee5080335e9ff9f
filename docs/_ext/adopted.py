"""Pages whose text is another file of the repository: `adopts: ../README.md` in a page's front matter.

A code host shows the page's own line and link; the site shows the file. Links between files of the repository lead to
the page that adopts the file, where there is one, and else download it.
"""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ADOPTS = re.compile(r"\A---\n(?:.*\n)*?adopts: (\S+)\n(?:.*\n)*?---\n")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def adopted_files(docs: Path) -> dict[Path, Path]:
    """The pages by the file that each adopts, absolute paths."""
    pages = {}
    for page in sorted(docs.rglob("*.md")):
        if match := ADOPTS.match(page.read_text()):
            pages[(page.parent / match[1]).resolve()] = page.resolve()
    return pages


def shown_text(text: str, page: Path, pages: dict[Path, Path]) -> str:
    """What the site shows for the text of `page`: that of the file it adopts, with links that hold from the page."""
    place = page
    if match := ADOPTS.match(text):
        place = (page.parent / match[1]).resolve()
        text = place.read_text()

    def target(match: re.Match[str]) -> str:
        file = (place.parent / match[1]).resolve()
        file = pages.get(file, file)
        return os.path.relpath(file, page.parent) + (match[2] or "")

    parts = FENCE.split(text)  # every second one is a block of code
    return "".join(part if number % 2 else LINK.sub(target, part) for number, part in enumerate(parts))


def _fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname)).resolve()
    source[0] = shown_text(source[0], page, adopted_files(Path(app.srcdir)))


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("source-read", _fill_in, priority=400)
    return {"parallel_read_safe": True}
