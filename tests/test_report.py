"""The report: one page from a whole run, from parts of one, from damaged files; and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from jaxmask.maskfile import write_mask
from jaxmask.report import ReportConfig, main
from jaxmask.report_numbers import DASH
from preprocess.command import run
from preprocess.errors import EXIT_DONE, EXIT_SOME_FAILED, EXIT_USAGE
from preprocess.shard import write_shard
from tests.run_folder import make_mask, make_scene, product_name, write_run
from tests.undrawn import leave_charts_empty


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._hidden = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = self._hidden and tag not in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_charts_empty(monkeypatch)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every stage, reported."""
    folder = write_run(tmp_path_factory.mktemp("reported") / "run")
    assert main(ReportConfig(folder, workers=0)) == EXIT_DONE
    return folder


def _page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text())


@pytest.mark.quick
def test_the_page_asks_for_nothing_outside_itself(whole: Path) -> None:
    page = _page(whole)
    names = {tag for tag, _ in page.tags}
    assert not names & {"link", "iframe", "object"}
    for _, attributes in page.tags:
        for key in ("src", "href", "xlink:href"):
            if key in attributes:
                assert str(attributes[key]).startswith(("#", "data:image/", "scenes/S3A")), attributes
    html = (whole / "report.html").read_text()
    assert all(place.startswith("#") for place in re.findall(r"url\(([^)]+)\)", html))
    assert "@import" not in html
    policy = next(a["content"] for a in page.attributes("meta") if a.get("http-equiv") == "Content-Security-Policy")
    texts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    assert texts
    sums = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in texts)
    assert f"default-src 'none'; script-src {sums}; style-src 'unsafe-inline'; img-src data: blob:;" in str(policy)


def test_the_page_is_well_formed_and_accessible(whole: Path) -> None:
    page = _page(whole)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.attributes("html") == [{"lang": "en"}]
    images = [image for image in page.attributes("img") if image["alt"] != ""]  # "" beside a product's name
    assert len(images) == 3 * 4
    assert all(image["alt"] for image in images)
    assert len({image["alt"] for image in images}) == len(images)
    assert all(svg["role"] == "img" and svg["aria-labelledby"] in ids for svg in page.attributes("svg"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels)), "no heading level is skipped"
    assert {a["href"][1:] for a in page.attributes("a") if str(a["href"]).startswith("#")} <= set(ids)  # type: ignore[index]
    assert {th["scope"] for th in page.attributes("th")} == {"col", "row"}


def test_the_run_in_numbers(whole: Path) -> None:
    """Values as write_run put them: 6 products, 3 to train on; the evaluation's as counted in run_evaluation."""
    words = _page(whole).words
    for phrase in (
        "Products 6 6 with a Bayes label",
        "Trained on 3 products 3 held out for testing",
        "Agreement with Bayes 80.3 % always the commoner class: 52.7 %; 9,000 held-out pixels",
        "Accuracy of U-Net 83.0 %",
        "Accuracy of Bayes 84.7 %",
        "SST RSD, clear by truth 0.210 K D2, 250 match-ups",
        "Training speed 6.4 patches/s",
        "Training time 56 s 5 epochs",
        "zip archives 6",
        "loss, nats",
        "satellite minus buoy, K",
        "None: no stage left an item out.",
    ):
        assert phrase in words
    assert not re.search(r"\b(nan|none kept none|None K|inf)\b", words)


def test_the_scenes_are_held_out_and_one_is_at_night(whole: Path) -> None:
    page = _page(whole)
    words = page.words
    # of the test part, products 3, 4 and 5, the disagreement grows with the number, and product 5 is at night
    assert f"The median disagreement: {product_name(4)}" in words
    assert f"The largest disagreement, at night: {product_name(5)}" in words
    assert f"The smallest disagreement: {product_name(3)}" in words
    picture = (whole / "scenes.png").read_bytes()
    assert picture[:4] == b"\x89PNG"
    assert len(picture) <= 600_000


def test_a_second_report_replaces_the_first_and_nothing_else_is_left(whole: Path) -> None:
    before = sorted(path.name for path in whole.iterdir())
    assert main(ReportConfig(whole, workers=0)) == EXIT_DONE
    assert sorted(path.name for path in whole.iterdir()) == before
    assert {"report.html", "scenes.png"} <= set(before)


@pytest.mark.parametrize(
    ("gone", "phrase"),
    [
        ("model", "no history of training. This makes it: python -m jaxmask.train"),
        ("hdf", "no shards to show. This makes it: python -m preprocess.convert"),
        ("predictions", "no masks to show. This makes it: python -m jaxmask.infer"),
        ("predictions/sst.json", "no match-up statistics. This makes it: python -m jaxmask.sst"),
        ("predictions/evaluation.json", "no evaluation of the masks. This makes it: python -m jaxmask.evaluate"),
        ("predictions/sst_predictions.h5", "No histogram"),
        ("archive", f"zip archives {DASH} none here"),
    ],
)
def test_what_is_missing_is_named_with_its_command(tmp_path: Path, gone: str, phrase: str) -> None:
    folder = write_run(tmp_path / "run", products=3)
    target = folder / gone
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert main(ReportConfig(folder, workers=0)) == EXIT_DONE
    assert phrase in _page(folder).words


def test_a_folder_with_one_shard_alone_is_reported(tmp_path: Path) -> None:
    scene = make_scene(1, True)
    write_shard(tmp_path / "hdf" / "day" / f"{scene.info.product}.hdf", scene)
    assert main(ReportConfig(tmp_path, workers=0)) == EXIT_DONE
    assert f"Trained on {DASH} not trained yet" in _page(tmp_path).words


def test_folders_elsewhere_are_read_where_the_flags_say(tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", products=3)
    folder = tmp_path / "report"
    folder.mkdir()
    flags = {part: other / part for part in ("archive", "hdf", "model", "predictions")}
    assert main(ReportConfig(folder, workers=0, **flags)) == EXIT_DONE
    assert "Products 3" in _page(folder).words


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        ("model/history.jsonl", "line 1: expected the JSON object of epoch 1"),
        ("model/config.json", "damaged or of another version (JSONDecodeError"),
        ("predictions/sst.json", "damaged or of another version"),
        ("predictions/sst_predictions.h5", "sst_predictions.h5"),
        (f"hdf/day/{product_name(0)}.hdf", "convert it again"),
        (f"predictions/{product_name(1)}.h5", "is not a whole HDF5 file"),
    ],
)
def test_a_damaged_file_is_a_failure_on_the_page_and_the_rest_is_shown(
    tmp_path: Path, damaged: str, reason: str
) -> None:
    folder = write_run(tmp_path / "run", products=3)
    (folder / damaged).write_text("{damaged")
    assert main(ReportConfig(folder, workers=0)) == EXIT_SOME_FAILED
    page = _page(folder)
    assert reason in page.words
    assert "Match-ups with buoys" in page.words
    listed = json.loads((folder / "failures.json").read_text())
    assert len(listed) == 1
    assert reason in listed[0]["error"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("sst.json", {"statistics": [{"mask": "bayes"}]}, "expected 'statistics', a list of objects with algorithm"),
        ("evaluation.json", {"records": 3}, "expected 'records', a list of objects with against"),
        ("evaluation.json", [], "expected a JSON object; found list"),
        ("../model/config.json", {"split": {"train": 3, "test": []}}, "'split' must be an object with 'train' and"),
        ("../model/config.json", {"split": {"train": [], "test": []}}, "expected objects 'flags' and 'versions'"),
        ("../model/history.jsonl", {"epoch": 1}, "expected patches_per_second, test, test_seconds, train,"),
    ],
)
def test_json_of_another_form_is_refused_by_name(tmp_path: Path, name: str, content: object, expected: str) -> None:
    folder = write_run(tmp_path / "run", products=3)
    (folder / "predictions" / name).write_text(json.dumps(content))
    assert main(ReportConfig(folder, workers=0)) == EXIT_SOME_FAILED
    assert expected in _page(folder).words


def test_failures_of_stages_are_shown_and_every_name_is_escaped(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run <b>&", products=3)
    failure = {"item": "<script>alert(1)</script>.zip", "error": "no such file & more"}
    (folder / "extracted" / "failures.json").write_text(json.dumps([failure]))
    for stage in ("sst", "evaluation"):
        listed = [{"item": f"of {stage}", "error": "cut short"}]
        (folder / "predictions" / f"{stage}_failures.json").write_text(json.dumps(listed))
    (folder / "predictions" / "failures.1.json").write_text(json.dumps([{"item": "another's", "error": "cut short"}]))
    assert main(ReportConfig(folder, workers=0)) == EXIT_DONE, "the stage's failure, not the report's"
    html = (folder / "report.html").read_text()
    assert "<script>alert" not in html
    words = Page(html).words
    assert "extract 1 <script>alert(1)</script>.zip no such file & more" in words
    assert "infer 1 another's cut short" in words
    assert "sst 1 of sst cut short" in words
    assert "evaluate 1 of evaluation cut short" in words
    assert "Cloud masks of run <b>&" in words


def test_an_unlabelled_scene_says_so_instead_of_a_share(tmp_path: Path) -> None:
    scene = make_scene(1, True, labelled=False)
    write_shard(tmp_path / "hdf" / "day" / f"{scene.info.product}.hdf", scene)
    (tmp_path / "predictions").mkdir()
    write_mask(tmp_path / "predictions" / f"{scene.info.product}.h5", make_mask(scene))
    assert main(ReportConfig(tmp_path, workers=0)) == EXIT_DONE
    assert f"cloud in the label {DASH} (no label)" in _page(tmp_path).words


@pytest.mark.parametrize("content", ["missing", "empty", "strange"])
def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    folder = tmp_path / "run"
    if content != "missing":
        (folder / "hdf").mkdir(parents=True)
    if content == "strange":
        (folder / "notes.txt").write_text("hello")
    assert run("jaxmask.report", ReportConfig, main, [str(folder)]) == EXIT_USAGE
    message = capsys.readouterr().err
    assert str(folder) in message
    assert "expected" in message
    assert "archive, extracted, hdf, model, predictions" in message
    assert "Traceback" not in message
    assert not (folder / "report.html").exists()


def test_json_summary_is_alone_on_stdout(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("jaxmask.report", ReportConfig, main, [str(whole), "--json"]) == EXIT_DONE
    summary = json.loads(capsys.readouterr().out)
    assert [Path(path).name for path in summary["written"]] == ["report.html", "scenes.png"]
    assert summary["absent"] == []
