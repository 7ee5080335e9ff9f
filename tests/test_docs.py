"""The documentation's pages: commands run or marked, every flag told, formats as the code writes them, links that hold.

The strict build is `make docs`; what it can't see is here.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from jaxmask.config import TrainConfig
from jaxmask.evaluate import EvaluateConfig
from jaxmask.evaluate import main as evaluate
from jaxmask.finish import Finish
from jaxmask.history import epoch_line
from jaxmask.infer_config import InferConfig
from jaxmask.mask_settings import mask_settings
from jaxmask.matchup_statistics import match_up_statistics
from jaxmask.position import PARTS, Pass
from jaxmask.record import make_record
from jaxmask.split import Split
from preprocess import errors
from preprocess.command import Failure, run
from preprocess.flags import Output
from tests.judging import scene, write_places
from tests.matchup_tables import random_table, samples_of
from tests.test_infer import small_model

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    *sorted(DOCS.rglob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md", "notebooks/README.md")),
]
FENCE = re.compile(r"^ *```(.*)\n((?:.*\n)*?) *```$", re.MULTILINE)
LANGUAGES = {"sh", "bash", "python", "text", "yaml"}  # a block without one could hide a command that nobody runs


def load(path: Path) -> ModuleType:
    """A module that lies in no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


flag_reference, format_reference, adopted, docstrings = (
    load(DOCS / "_ext" / f"{name}.py") for name in ("flag_reference", "format_reference", "adopted", "docstrings")
)
runner = load(ROOT / ".ci" / "readme.py")
COMMANDS = flag_reference.commands()


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def cells(heading: str) -> set[str]:
    """The names in the first column of the tables below a heading of the formats' page."""
    text = (DOCS / "reference" / "formats.md").read_text()
    section = re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    firsts = re.findall(r"^\| ([^|]*) \|", section, re.MULTILINE)
    return {name for first in firsts for name in re.findall(r"`([^`]+)`", first)}


@pytest.mark.quick
@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_is_run_or_says_what_it_needs(page: Path) -> None:
    for language, text in FENCE.findall(page.read_text()):
        assert language in LANGUAGES or language.startswith("{"), f"{page}: a block of {language or 'no language'}"
        if language == "bash":
            assert re.match(r" *# needs .{4}", text), f"{page}: doesn't say what it needs: {text}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", text):
        assert (page.parent / target).exists(), f"{page} links to {target}"


def test_every_text_that_is_linked_to_is_a_page() -> None:
    pages = adopted.adopted_files(DOCS)
    for page in PAGES:
        for target in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+\.md)", FENCE.sub("", page.read_text())):
            file = (page.parent / target).resolve()
            assert file in pages or DOCS in file.parents, f"{page} links to {target}, which no page of docs/ adopts"


def test_the_table_of_contents_has_every_page_once() -> None:
    listed = runner.pages()[2:]
    assert sorted(listed) == sorted(set(DOCS.rglob("*.md")) - {DOCS / "index.md"})


def test_what_the_runner_makes_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nmake setup\n```\n1. x\n\n   ```sh\n   make a\n   train --epochs 30\n   ```\n"
        "```bash\n# needs x\nno\n```\n"
        "```sh\ntrain --features 8 --epochs 30 \\\n    --products 24\n```\n```python\nprint(1)\n```\n"
    )
    assert runner.blocks(page) == [
        ("sh", "train --epochs 1 --features 4\n"),
        ("sh", "train --features 8 --epochs 1 \\\n    --products 5 --seed 3\n"),
        ("python", "print(1)\n"),
    ]


@pytest.mark.quick
def test_every_field_of_every_command_is_told() -> None:
    assert {command.stage for command in COMMANDS} >= {"simulate", "train", "report", "demo"}
    for command in COMMANDS:
        names = {flag.name.removeprefix("--").replace("-", "_").lower() for flag in command.flags}
        fields = {field.name for field in dataclasses.fields(command.config)}
        positional = sum(flag.positional for flag in command.flags)
        assert len(command.flags) == len(fields), command.module
        assert len(fields - names) <= positional, (command.module, fields - names)
        assert all(flag.text for flag in command.flags), command.module


@dataclasses.dataclass(frozen=True)
class Example(Output):
    """An example."""

    rate_k: float = 0.5
    """How much, in K."""
    least: int | None = None
    """At *least* [so] many."""


def test_what_is_told_of_a_flag() -> None:
    flags = {flag.name: flag for flag in flag_reference._flags(Example)}
    assert (flags["--rate-k"].metavar, flags["--rate-k"].default, flags["--rate-k"].text) == (
        "FLOAT",
        "0.5",
        "How much, in K.",
    )
    assert flags["--least"].metavar == "INT"
    page = flag_reference.markdown(
        flag_reference.Command("x", "a.x", "An example.", tuple(flags.values()), ("0",), Example)
    )
    assert "```{option} --rate-k FLOAT\nHow much, in K. Default: `0.5`.\n```" in page
    assert r"At \*least\* \[so\] many." in page


def test_exit_codes_are_told() -> None:
    codes = {str(value) for name, value in vars(errors).items() if name.startswith("EXIT_")}
    told = re.findall(r"^\| (\d+) \|", (DOCS / "reference" / "exit-codes.md").read_text(), re.MULTILINE)
    assert set(told) == codes
    by_module = {command.module: set(command.exit_codes) for command in COMMANDS}
    for module in ("jaxmask.train", "jaxmask.mlcommons"):
        assert by_module[module] >= {"3", "69", "75"}
    assert not by_module["preprocess.convert"] & {"69", "75"}
    assert "3" in by_module["preprocess.convert"]


def test_tables_made_from_the_code() -> None:
    datasets = format_reference.shard_datasets()
    assert "| `bts` | (H,\N{NO-BREAK SPACE}W,\N{NO-BREAK SPACE}3) | float32 | K |" in datasets
    assert "only with `--texture`" in datasets
    attributes = format_reference.shard_attributes()
    assert "| `irradiances` | floats | S1..S6, mW m-2 nm-1 |" in attributes
    assert "| `columns` | int |  |" in attributes
    assert "| 10 | 1024 | `day` |" in format_reference.flag_bits()
    assert "| `cloud` | row, column | cloud mask |  | 0 clear, 1 cloud | -1 |" in format_reference.netcdf_variables()
    assert "<!-- table" not in format_reference.filled_in((DOCS / "reference" / "formats.md").read_text())


def test_masks_have_the_attributes_that_are_told() -> None:
    models = small_model(0), small_model(1)
    config = InferConfig(Path("m"), Path("s"), Path("p"), tiling="reference", probability=True)
    settings = mask_settings(config, models)
    of_scene = Finish(config, settings, 0.5, None, lambda name: "none")._attributes(SimpleNamespace(info=scene(0).info))  # type: ignore[arg-type]
    assert cells("Attributes of a mask") == settings.keys() | of_scene.keys()


def test_the_model_folder_is_as_told() -> None:
    data: Any = SimpleNamespace(kind=str, unlabelled=(), failures=(Failure("a", "b"),))
    record = make_record(TrainConfig(), 32, data, Split(train=("a",)))
    assert cells("config.json") == record.keys()
    assert cells("history.jsonl") == epoch_line(1, dict.fromkeys(PARTS, Pass(patches=1, seconds=1.0))).keys()


def test_evaluations_are_as_told(tmp_path: Path) -> None:
    places = write_places(tmp_path)
    flags = ["--truth", str(places / "truth"), "--workers", "0", "--quiet"]
    assert run("x", EvaluateConfig, evaluate, [str(places / "hdf"), str(places / "out"), *flags]) == 0
    result = json.loads((places / "out" / "evaluation.json").read_text())
    assert cells("evaluation.json") == result.keys() | {"calibration"}
    assert cells("A record of the evaluation") == {name for record in result["records"] for name in record}


def test_match_up_statistics_are_as_told() -> None:
    from jaxmask import sst  # the rest of sst.json

    table = random_table(300, seed=1)
    results = match_up_statistics(table, samples_of(table))
    beside = set(re.findall(r'^        "(\w+)":', Path(sst.__file__).read_text(), re.MULTILINE)) | {"threshold"}
    assert cells("sst.json") == results.keys() | beside
    assert cells("A record of the statistics") == {name for record in results["statistics"] for name in record}


def test_a_list_of_failures_is_as_told() -> None:
    page = (DOCS / "reference" / "formats.md").read_text().split("## Failures\n")[1]
    assert set(re.findall(r"`(\w+)` \(", page)) == {field.name for field in dataclasses.fields(Failure)}


def test_an_adopted_page_has_the_files_text_and_links_that_hold(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page, other = tmp_path / "docs" / "overview.md", tmp_path / "docs" / "more.md"
    page.write_text("---\nadopts: ../README.md\n---\n\n# Short\n")
    (tmp_path / "README.md").write_text(
        "[a](docs/more.md#x) ![p](docs/p.png) [b](LICENSE) [c](https://d.org/e) [f](#g)\n"
        "```sh\n[a](docs/more.md)\n```\n"
    )
    other.write_text("[r](../README.md)\n")
    pages = adopted.adopted_files(tmp_path / "docs")
    assert pages == {tmp_path / "README.md": page}
    assert adopted.shown_text(page.read_text(), page, pages) == (
        "[a](more.md#x) ![p](p.png) [b](../LICENSE) [c](https://d.org/e) [f](#g)\n```sh\n[a](docs/more.md)\n```\n"
    )
    assert adopted.shown_text(other.read_text(), other, pages) == "[r](overview.md)\n"


def test_docstrings_are_shown_letter_by_letter() -> None:
    lines = ["One `x_` of a*b.", "Returns c|d.", ">>> f(*a)", "1", "", "end_"]
    assert docstrings.as_restructured_text(lines) == [
        "One ``x_`` of a\\*b.", "", "Returns c\\|d.", "", ">>> f(*a)", "1", "", "end\\_"
    ]  # fmt: skip
