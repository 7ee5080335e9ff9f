"""What stands about the project in several places is the same in all of them; its container is linted."""

from __future__ import annotations

import hashlib
import importlib
import io
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CONTAINERFILE = ROOT / "launch" / "Containerfile"
# The text as apache.org and Debian (/usr/share/common-licenses/Apache-2.0) have it.
APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
# Of schema 1.2.0 of the Citation File Format (doi:10.5281/zenodo.5171937): what a file must hold and may hold of all
# that it knows, what a reference must, and the only values of `type`.
CITATION_MUST = {"cff-version", "message", "title", "authors"}
CITATION_MAY = CITATION_MUST | {
    "abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license", "license-url",
    "preferred-citation", "references", "repository", "repository-artifact", "repository-code", "type", "url",
    "version",
}  # fmt: skip
REFERENCE_MUST = {"type", "title", "authors"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


@pytest.fixture(scope="module")
def citation() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    return found


def labels() -> dict[str, str]:
    """The image's own description of itself."""
    return dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', CONTAINERFILE.read_text()))


def test_the_licence_is_apaches_text_whole() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2_SHA256


def test_the_citation_is_what_the_format_asks_for(citation: dict[str, Any]) -> None:
    assert citation.keys() >= CITATION_MUST
    assert citation.keys() <= CITATION_MAY
    assert (citation["cff-version"], citation["type"]) == ("1.2.0", "software")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", citation["date-released"])  # quoted: YAML's own dates are no strings
    assert citation["authors"] == [{"name": "The jaxmask developers"}]
    assert len(set(citation["keywords"])) == len(citation["keywords"]) > 0
    for reference in citation["references"]:
        assert reference.keys() >= REFERENCE_MUST
        assert all(author.keys() == {"name"} for author in reference["authors"])
        assert reference["repository-code"].startswith("https://github.com/")


@pytest.mark.quick
def test_one_version_and_one_licence_everywhere(project: dict[str, Any], citation: dict[str, Any]) -> None:
    version, licence = project["version"], "Apache-2.0"
    assert (citation["version"], citation["license"]) == (version, licence)
    assert (labels()["version"], labels()["licenses"]) == (version, licence)
    assert labels()["description"] == project["description"]
    assert project.get("license", licence) == licence
    changes = (ROOT / "CHANGELOG.md").read_text()
    newest = re.findall(r"^## \[(\d[^]]*)\] - (\d{4}-\d\d-\d\d)$", changes, re.MULTILINE)[0]
    assert newest == (version, citation["date-released"])
    assert f"jaxmask:{version}-cuda13" in (ROOT / "launch" / "kubernetes.yaml").read_text()


def test_the_changelog_keeps_to_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "\n## [Unreleased]\n" in text
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}  # keepachangelog.com, 1.1.0
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_the_containerfile_is_linted(tmp_path: Path) -> None:
    hadolint = [Path(sys.executable).with_name("hadolint"), "--no-color"]
    clean = subprocess.run([*hadolint, CONTAINERFILE], capture_output=True, text=True, timeout=60)
    assert clean.returncode == 0, clean.stdout
    bad = tmp_path / "Containerfile"
    bad.write_text("FROM debian:latest\n")
    assert "DL3007" in subprocess.run([*hadolint, bad], capture_output=True, text=True, timeout=60).stdout


def test_the_image_is_made_of_what_its_build_can_see(project: dict[str, Any]) -> None:
    """Every COPY from the clone is let through by the file beside the Containerfile, and exists."""
    seen = set(re.findall(r"^!(.*)$", (CONTAINERFILE.parent / "Containerfile.dockerignore").read_text(), re.MULTILINE))
    copies = re.findall(r"^COPY (?!--from)(.*) \S+$", CONTAINERFILE.read_text(), re.MULTILINE)
    copied = {name for line in copies for name in line.split()}
    assert copied == seen
    assert all((ROOT / name).exists() for name in copied)
    extra = re.search(r"^ARG EXTRA=(\w+)$", CONTAINERFILE.read_text(), re.MULTILINE)
    assert extra is not None
    assert {extra[1], "cuda13"} <= project["optional-dependencies"].keys()


def write_wheel(path: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def test_what_is_wrong_with_a_wheel_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(ROOT / ".ci"))
    held = importlib.import_module("wheel_files")
    monkeypatch.setattr(held, "expected", lambda: {"jaxmask/a.py", "jaxmask/templates/report.html"})
    whole = dict.fromkeys(held.expected(), "") | {"jaxmask-1.dist-info/licenses/LICENSE": ""}
    sdist, good, bad = tmp_path / "x.tar.gz", tmp_path / "good.whl", tmp_path / "bad.whl"
    with tarfile.open(sdist, "w:gz") as archive:
        for name in {*held.expected(), *held.IN_SDIST} - {"CITATION.cff"}:
            archive.addfile(tarfile.TarInfo(f"x-1/{name}"), io.BytesIO())
    write_wheel(good, whole)
    assert held.complaints(sdist, good, good) == ["not in the sdist: CITATION.cff"]
    write_wheel(bad, {"jaxmask/a.py": "other", "jaxmask/more.py": "", "tests/test_a.py": ""})
    assert held.complaints(sdist, bad, good) == [
        "not in the wheel: jaxmask/templates/report.html",
        "in the wheel, but not in the clone: jaxmask/more.py",
        "not to be in a wheel: tests/test_a.py",
        *(
            f"differs between the wheels from sdist and clone: {name}"
            for name in sorted({*whole, "jaxmask/more.py", "tests/test_a.py"})
        ),
        "the wheel holds no licence",
        "not in the sdist: CITATION.cff",
    ]
