"""Inline scripts and the policy of a page; the oracle of the sums is the coreutils' way of writing them."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from jaxmask import page


@pytest.mark.quick
def test_the_policy_allows_the_scripts_by_their_sums_and_nothing_of_the_network() -> None:
    # echo -n "alert('Hello, world.');" | openssl sha256 -binary | openssl base64: the example of CSP3, section 8.3
    allowed = page.policy(["alert('Hello, world.');"])
    assert "script-src 'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='; " in allowed
    assert allowed.startswith("default-src 'none'; ")
    assert "http" not in allowed
    assert "script-src 'none'; " in page.policy([])


def test_a_sum_is_of_the_text_in_utf8() -> None:
    text = "const micro = 'µm';"
    hexadecimal = subprocess.run(["sha256sum"], input=text.encode(), capture_output=True, check=True).stdout[:64]
    assert base64.b64encode(bytes.fromhex(hexadecimal.decode())).decode() in page.policy([text])


def test_every_script_of_the_package_can_be_inlined() -> None:
    folder = Path(page.__file__).parent / "templates"
    names = [str(path.relative_to(folder)) for path in folder.rglob("*.js")]
    assert page.THEME_SCRIPT in names
    for name in names:
        assert page.script(name) == (folder / name).read_text()


@pytest.mark.parametrize("text", ["a = '</script>'", "a = '<!-- -->'", "a = 1;\r\n"])
def test_a_script_that_html_would_change_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.js").write_bytes(text.encode())
    monkeypatch.setattr(page, "files", lambda _: tmp_path)
    page.script.cache_clear()
    with pytest.raises(ValueError, match="which an inline script can't"):
        page.script("a.js")
    page.script.cache_clear()


def test_a_name_that_is_not_utf8_is_shown_and_the_page_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = Environment(loader=DictLoader({"name.html": "<p>{{ name }}</p>"}), autoescape=True)
    monkeypatch.setattr(page, "_environment", lambda: environment)
    assert page.render_page("name.html", name="a\udcff<b>").encode("utf-8") == rb"<p>a\udcff&lt;b&gt;</p>"
