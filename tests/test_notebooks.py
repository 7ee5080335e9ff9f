"""The five notebooks: stored clean, and each run whole, by itself, on one small archive."""

from __future__ import annotations

import ast
import fcntl
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from jaxmask import demo, infer
from jaxmask.maskfile import find_masks, read_mask
from jaxmask.split import Split
from preprocess import convert, simulate
from preprocess.simulation.plan import ProductPlan, plan_archive
from tests.small_models import write_model

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FIGURES = {
    "1_first_look": 5,
    "2_product_to_mask": 3,
    "3_train_a_unet": 4,
    "4_does_the_mask_help": 3,
    "5_where_they_disagree": 5,
}
PRODUCTS, ROWS, COLUMNS = 6, 136, 160  # one patch of 128 x 128 each
LONGEST_CELL = 40  # lines
CELL_TIMEOUT_S = 300
# What this suite sets and a person at a notebook doesn't.
NOT_A_PERSONS = ("MPLBACKEND", "XLA_FLAGS", "PYTEST_CURRENT_TEST")
NOT_OURS = re.compile(r"^\[IPKernelApp\] .*\n", re.MULTILINE)

Notebook = Any


def read(name: str) -> Notebook:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=nbformat.NO_CONVERT)


def code_cells(notebook: Notebook) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def small_plans(products: int, size: str, seed: int) -> tuple[ProductPlan, ...]:
    """The usual archive, with fewer pixels a product."""
    return tuple(replace(plan, rows=ROWS, columns=COLUMNS) for plan in plan_archive(products, size, seed))


def make_run(run: Path) -> None:
    """An archive, its shards, and the masks of a model that was never trained, as the stages leave them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "plan_archive", small_plans)
        archive, extracted, hdf = run / "archive", run / "extracted", run / "hdf"
        settings = simulate.SimulateConfig(archive, products=PRODUCTS, workers=0, quiet=True)
        assert simulate.main(settings) == 0
    extracted.symlink_to(archive)  # zips, read in place
    shards = convert.ConvertConfig(archive, hdf, shape="native", label="single_moderate", workers=0, quiet=True)
    assert convert.main(shards) == 0
    names = sorted(path.stem for path in hdf.glob("*/*.hdf"))
    model = write_model(run / "model", split=Split(train=tuple(names[:4]), test=tuple(names[4:])))
    assert infer.main(infer.InferConfig(model, hdf, run / "predictions", workers=0, quiet=True)) == 0


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run for all notebooks, made once, whichever of pytest's processes comes first."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    run = shared / "notebooks_run"
    with (shared / "notebooks_run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (run / "made").exists():
            make_run(run)
            (run / "made").touch()
    return run


def execute(notebook: Notebook, folder: Path, run: Path) -> None:
    """Run all cells in a kernel of their own; outputs are put into `notebook`."""
    environment = {name: value for name, value in os.environ.items() if name not in NOT_A_PERSONS}
    environment |= {"JAXMASK_RUN": str(run), "PYTHONPATH": str(FOLDER.parent)}
    client = NotebookClient(notebook, timeout=CELL_TIMEOUT_S, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment)


def text_of(notebook: Notebook, stream: str = "stdout") -> str:
    return "".join(
        output.text
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "stream" and output.name == stream
    )


def pictures(notebook: Notebook) -> int:
    return sum("image/png" in output.get("data", {}) for cell in code_cells(notebook) for output in cell.outputs)


def test_there_are_five() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(FIGURES)


@pytest.mark.quick
@pytest.mark.parametrize("name", FIGURES)
def test_stored_without_output_in_a_form_that_does_not_change_by_itself(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z-]*", name) for name in ids), "ids are words, not what an editor drew by lot"
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(notebook))


@pytest.mark.parametrize("name", FIGURES)
def test_cells_are_short_and_headed_by_prose(name: str) -> None:
    cells = read(name).cells
    assert [cell.cell_type for cell in cells[:3]] == ["markdown", "markdown", "code"]
    assert cells[0].source.startswith(f"# {name[0]}. ")
    assert max(len(cell.source.splitlines()) for cell in cells) <= LONGEST_CELL


def test_all_begin_by_saying_which_data_and_how_to_take_others() -> None:
    beginnings = {tuple(cell.source for cell in read(name).cells[1:3]) for name in FIGURES}
    assert len(beginnings) == 1
    prose, code = beginnings.pop()
    assert "**For real data**" in prose
    assert prose.count("JAXMASK_RUN") == code.count("JAXMASK_RUN") == 1


def test_links_lead_somewhere() -> None:
    texts = [cell.source for name in FIGURES for cell in read(name).cells if cell.cell_type == "markdown"]
    texts.append((FOLDER / "README.md").read_text())
    links = [link for text in texts for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert len(links) >= len(FIGURES)
    assert [link for link in links if not (FOLDER / link).exists()] == []
    assert all(f"({name}.ipynb)" in texts[-1] for name in FIGURES)


def run_first_cell(folder: Path, patch: pytest.MonkeyPatch, made: Sequence[int], **environment: str) -> list[Any]:
    """Run the cell that every notebook begins with, in `folder`; returns the demos that it asked for."""
    asked = []
    codes = iter(made)

    def pretend(config: demo.DemoConfig) -> int:
        asked.append(config)
        return next(codes)

    patch.chdir(folder)
    patch.delenv("JAXMASK_RUN", raising=False)
    for name, value in environment.items():
        patch.setenv(name, value)
    patch.setattr(demo, "main", pretend)
    exec(compile(ast.parse(read("1_first_look").cells[2].source), "cell", "exec"), {})
    return asked


def test_the_first_cell_makes_the_archive_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config,) = run_first_cell(tmp_path, monkeypatch, [0])
    assert (config.folder, config.size, config.products) == (Path("simulated"), "small", 16)
    (tmp_path / "simulated").mkdir()
    (tmp_path / "simulated" / "report.html").touch()  # the demo's last file
    assert run_first_cell(tmp_path, monkeypatch, []) == []


def test_the_first_cell_leaves_real_data_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_first_cell(tmp_path, monkeypatch, [], JAXMASK_RUN=str(tmp_path / "mine")) == []


def test_the_first_cell_stops_where_the_archive_could_not_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RuntimeError, match="simulated could not be made"):
        run_first_cell(tmp_path, monkeypatch, [2])


@pytest.mark.parametrize("name", FIGURES)
def test_runs(name: str, run_folder: Path, tmp_path: Path) -> None:
    notebook = read(name)
    execute(notebook, tmp_path, run_folder)
    assert [cell.execution_count for cell in code_cells(notebook)] == list(range(1, len(code_cells(notebook)) + 1))
    assert NOT_OURS.sub("", text_of(notebook, "stderr")) == ""
    assert pictures(notebook) == FIGURES[name]
    SHOWN[name](text_of(notebook), run_folder)


def first_look(text: str, run: Path) -> None:
    assert "labelled: True" in text
    assert "the shard holds the scene computed above, to the last bit: True" in text
    assert re.search(rf"^  1 km +{ROWS} x {COLUMNS} ", text, re.MULTILINE)


def product_to_mask(text: str, run: Path) -> None:
    """The share of cloud is the one that `infer` wrote, whose masks were made in another process."""
    name = re.search(r"^S3\w+$", text, re.MULTILINE)
    assert name is not None
    mask = read_mask(run / "predictions" / f"{name[0]}.h5")
    cloud = (mask.probability > mask.threshold)[mask.valid].mean()
    assert f"({ROWS}, {COLUMNS}) pixels, cloud on {cloud:.1%} of those with data" in text
    difference = re.search(r"greatest difference in q: (\S+)", text)
    assert difference is not None
    assert float(difference[1]) < 1e-5  # float32 sums over other numbers of threads
    shares = [float(share) for share in re.findall(r"q > 0\.[52].*cloud on ([\d.]+)%", text)]
    assert shares == sorted(shares)  # default, lower threshold, buffer: ever more cloud


def train_a_unet(text: str, run: Path) -> None:
    assert "epoch 4/4: " in text
    assert "going on after epoch 4" in text
    assert "16 epochs, 4 of them from before" in text
    assert re.search(r"few products: last train loss 0\.\d+, test loss \d", text)


def does_the_mask_help(text: str, run: Path) -> None:
    assert re.search(r"^\d{3,} match-ups$", text, re.MULTILINE)
    assert re.search(r"^masks by part of the model's split: {'test': 2, ", text, re.MULTILINE)
    assert "fewer than 10" in text  # six scenes: no interval, and the notebook says so


def where_they_disagree(text: str, run: Path) -> None:
    assert len(find_masks(run / "predictions")) == PRODUCTS
    assert re.search(r"products with a label: \{'test': \d, 'train': \d\}", text)
    assert re.search(r"test: they differ on [\d,]+ pixels; the U-Net is right on [\d.]+%", text)


SHOWN = dict(
    zip(
        FIGURES,
        (first_look, product_to_mask, train_a_unet, does_the_mask_help, where_they_disagree),
        strict=True,
    )
)


def test_a_notebook_that_fails_is_noticed(run_folder: Path, tmp_path: Path) -> None:
    notebook = read("2_product_to_mask")
    notebook.cells = [*notebook.cells[:3], nbformat.v4.new_code_cell("RUN / missing", id="broken")]
    with pytest.raises(CellExecutionError, match="name 'missing' is not defined"):
        execute(notebook, tmp_path, run_folder)
