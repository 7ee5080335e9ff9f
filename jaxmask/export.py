"""Edge: the command that writes a trained model for the programs of others."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from jaxmask import exported
from jaxmask.keras_weights import write_keras_model
from jaxmask.machine import versions
from jaxmask.maskfile import DEFAULT_THRESHOLD
from jaxmask.mesh import use_cpu_only
from jaxmask.model import Model, load_model
from jaxmask.probability import chosen_fit
from jaxmask.unet import count_parameters
from preprocess.command import print_summary, run
from preprocess.errors import EXIT_DONE, UserError
from preprocess.files import whole_file, writable_folder, write_json
from preprocess.flags import Output, check

FORMAT = "jaxmask export, version 1"
RECORD_NAME = "config.json"
ARRAYS_NAME, KERAS_NAME, PROGRAM_NAME = "model.safetensors", "model.h5", "model.stablehlo"
ONNX_NAME = "model.onnx"
NAMES = (ARRAYS_NAME, KERAS_NAME, PROGRAM_NAME)  # of every export
PACKAGES = ("safetensors", "flatbuffers")
DIFFERENCES = {
    "model": "model",
    "input": "kind of input",
    "output": "threshold, loss weight or fit of P",
}  # and their words

Record = dict[str, Any]


@dataclass(frozen=True)
class ExportConfig(Output):
    """Write a model as safetensors, as the original's Keras model.h5 and as programs, with a config.json."""

    model: Positional[Annotated[Path, arg(metavar="MODEL")]]
    """Model folder that jaxmask.train wrote, or a model.h5 of the original."""
    out: Positional[Annotated[Path, arg(metavar="OUT")]]
    """Folder for config.json, model.safetensors, model.h5 and model.stablehlo."""
    checkpoint: Literal["latest", "best"] = "latest"
    """Which of the model folder's checkpoints."""
    threshold: float = DEFAULT_THRESHOLD
    """A pixel is cloud where the output exceeds this; recorded in config.json."""
    onnx: bool = False
    """Write model.onnx too: the network from normalised images to logits, for any ONNX runtime."""
    overwrite: bool = False
    """Replace the export of another model or threshold."""

    def __post_init__(self) -> None:
        check(0 < self.threshold < 1, "threshold", "between 0 and 1", self.threshold)

    @property
    def names(self) -> tuple[str, ...]:
        """The files that are wanted, beside the record."""
        return (*NAMES, ONNX_NAME) if self.onnx else NAMES


def main(config: ExportConfig) -> int:
    """Write what is not there yet; returns the exit code."""
    _need_packages((*PACKAGES, "onnx") if config.onnx else PACKAGES)
    use_cpu_only()
    model = load_model(config.model, config.checkpoint)
    record = make_record(model, config.threshold) | ({"onnx": exported.onnx_record()} if config.onnx else {})
    done = is_done(config, record)
    if not done:
        write_export(writable_folder(config.out), model, record)
    what = "there already" if done else "written"
    summary = {"message": f"{config.out}: model {model.digest} {what}", "model": model.digest, "written": not done}
    print_summary(config, summary | {"files": [str(config.out / name) for name in (RECORD_NAME, *config.names)]})
    return EXIT_DONE


def make_record(model: Model, threshold: float) -> Record:
    """Return what `config.json` says, but for the files: enough to build the network, feed it and read its output."""
    fit = chosen_fit(model.probability_fits, model.digest, flips=False)
    products = {"train": model.split.train, "validation": model.split.validation, "test": model.split.test}
    return {
        "format": FORMAT,
        "model": model.digest,
        "source": Path(model.source).name,
        "network": exported.network_record(model.features, count_parameters(model.params)),
        "input": exported.input_record(model.convention, model.calibration, model.regridding, model.patch_size),
        "output": exported.output_record(model.positive_weight, threshold, fit),
        "program": exported.program_record(),
        "products": {part: list(names) for part, names in products.items()},
        "versions": versions(),
    }


def is_done(config: ExportConfig, record: Record) -> bool:
    """Whether `out` holds this export whole.

    Raises UserError if it holds the export of another model and --overwrite isn't given, or files that are no export's.
    """
    there = [name for name in (RECORD_NAME, *NAMES, ONNX_NAME) if (config.out / name).exists()]
    if not there:
        return False
    found = _read_record(config.out / RECORD_NAME)
    if found is None and RECORD_NAME in there:
        raise UserError(f"{config.out / RECORD_NAME} is there already, and of no export: choose another folder")
    if config.model.resolve() == (config.out / KERAS_NAME).resolve():
        raise UserError(f"{config.model} would be replaced by its own export: choose another folder")
    differing = [name for name in DIFFERENCES if found is None or found.get(name) != record[name]]
    if differing and not config.overwrite:
        other = f"an export of another {DIFFERENCES[differing[0]]}" if found else f"{there[0]} of no whole export"
        raise UserError(f"{config.out} holds {other}: choose another folder, or pass --overwrite to replace it")
    return not differing and _is_whole(config.out, found, config.names)


def write_export(folder: Path, model: Model, record: Record) -> None:
    """Write the files, ONNX where the record tells of it, and when they are whole `config.json` with their sums."""
    import safetensors.numpy  # of an extra, as flatbuffers, which jax.export needs

    for name in (RECORD_NAME, ONNX_NAME):  # of another export
        (folder / name).unlink(missing_ok=True)
    about = {"format": FORMAT, "digest": model.digest}
    _write(folder / ARRAYS_NAME, safetensors.numpy.save(exported.named_arrays(model.params), about))
    write_keras_model(folder / KERAS_NAME, model.features, model.params)
    _write(folder / PROGRAM_NAME, exported.program(model.graphdef, model.params))
    if "onnx" in record:
        from jaxmask.onnx_program import program  # of the extra, too

        _write(folder / ONNX_NAME, program(model.params, exported.onnx_texts(record)).SerializeToString())
    names = (*NAMES, ONNX_NAME) if "onnx" in record else NAMES
    write_json(folder / RECORD_NAME, record | {"files": {name: _sums(folder / name) for name in names}})


def _need_packages(packages: Sequence[str]) -> None:
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"export needs the package '{missing[0]}': pip install 'jaxmask[export]'")


def _read_record(path: Path) -> Record | None:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("format") == FORMAT else None


def _is_whole(folder: Path, record: Record | None, names: Sequence[str]) -> bool:
    """Whether all files of the record, `names` among them, are there as they were written."""
    files = {} if record is None else record.get("files", {})
    whole = all((folder / name).is_file() and _sums(folder / name) == sums for name, sums in files.items())
    return whole and set(names) <= set(files)


def _sums(path: Path) -> Record:
    return {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(content)


if __name__ == "__main__":
    sys.exit(run("jaxmask.export", ExportConfig, main))
