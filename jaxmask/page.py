"""Edge: our HTML pages: templates and inline scripts read from the package, and the policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

THEME_SCRIPT = "theme.js"  # every page has it, first: light and dark must be known before anything is drawn


def render_page(template: str, scripts: Sequence[str] = (), **content: object) -> str:
    """The page of `template` as HTML; `scripts` and `template` are names in jaxmask/templates.

    Everything in `content` is escaped but Markup. The template finds the texts in `scripts`, that of THEME_SCRIPT in
    `theme_script`, and the content security policy that allows these and nothing else in `policy`. Data for a script
    go into `<script type="application/json">{{ value | tojson }}</script>`, which no policy has to allow.
    """
    theme, *others = (script(name) for name in (THEME_SCRIPT, *scripts))
    known = {"theme_script": theme, "scripts": others, "version": version("jaxmask")}
    text = _environment().get_template(template).render(known | content, policy=policy((theme, *others)))
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # names of files may be no UTF-8


@cache
def script(name: str) -> Markup:
    """The text of an inline script, to be put between <script> and </script> as it is.

    Raises ValueError if it holds what would end the element, or what HTML changes while it is read: carriage returns.
    """
    text = files("jaxmask").joinpath("templates", name).read_bytes().decode("utf-8")
    for harmful in ("</script", "<!--", "<script", "\r"):
        if harmful in text.lower():
            raise ValueError(f"jaxmask/templates/{name} holds {harmful!r}, which an inline script can't")
    return Markup(text)


def policy(scripts: Sequence[str]) -> str:
    """The content security policy of a page with these inline scripts: no network, no script but these, any data URI.

    https://www.w3.org/TR/CSP3/: 'sha256-' and the base64 of the SHA-256 of the text between the tags, in UTF-8.
    """
    sums = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    allowed = " ".join(f"'sha256-{sum_}'" for sum_ in sums) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("jaxmask"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
