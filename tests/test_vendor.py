"""Libraries of others in our pages are those that their projects built, and their licences lie beside them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import jaxmask

VENDOR = Path(jaxmask.__file__).parent / "templates" / "vendor"
# of npm's openseadragon-6.1.1.tgz, whose integrity npm gives as
# sha512-g4iKe2q8B642SaBT3+x4ZF3/8b1TxPPydyjmtrOLgDrlYWMKd9ZXM+1Cb/xa9DVySkvs/7l6HR1nHKfD5F3Tsw==
SUMS = {
    "openseadragon.min.js": "14d587cd3ee7c4861f1a41077ce642029364a21029956ba635bd8fb1202cf9ad",
    "openseadragon.LICENSE.txt": "17da96b26ac706d2cbd06d4555dedb43026782f4943faf0156fe7acf89454228",
}


@pytest.mark.quick
def test_what_lies_here_is_what_its_project_built() -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    del found["README.md"]
    assert found == SUMS


def test_the_note_names_the_version_of_the_file() -> None:
    first = (VENDOR / "openseadragon.min.js").read_text().splitlines()[0]
    assert first == "//! openseadragon 6.1.1"
    assert "| `openseadragon.min.js` | 6.1.1 |" in (VENDOR / "README.md").read_text()
