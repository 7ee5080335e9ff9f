"""Edge: the network computed by OpenVINO on this machine's processor; needs the extra `openvino`."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import threading
from collections.abc import Callable, Collection
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np

from jaxmask.pixels import CHANNELS
from jaxmask.unet import DEPTH, Params, check_size
from preprocess.command import log
from preprocess.cores import available_cores
from preprocess.errors import UserError

PACKAGES = ("openvino", "onnx")
TELEMETRY = "openvino_telemetry"
# Nodes that bfloat16 leaves in float32, by how their names begin: those of the full resolution, and of the next on the
# way down. Rounding there, of the image first of all, makes most of the largest error: without it 3e-3 of q at 32
# features on simulated scenes, with it 2e-2; and not half of bfloat16's gain is lost.
EXACT = ("channels first", "encoder/0/", "encoder/1/", f"decoder/{DEPTH - 1}/", "head")
EXACT_MARK = {"name": "precise", "version": "0"}  # OpenVINO's own, which only the text of a model can set


def open_logits(params: Params, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    """The model's Logits, on all cores that this process may use, whatever accelerators there are.

    params: as `unet.create` nests them; precision: "float32" | "bfloat16", which needs a processor that has it, and
    means what EXACT doesn't name. One image at a time, as more at once are no faster. Compiled (a
    tenth of a second, and a half more in the first scene) for the size of the last image: a program for any size would
    need a twentieth more time and a fifth more memory. Raises UserError naming the extra if a package is missing; the
    function, ValueError as `unet.apply`.
    """
    openvino = _import_openvino()
    core = _core()
    usable = usable_precision(precision, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    settings = {
        "INFERENCE_PRECISION_HINT": {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}[usable],
        "INFERENCE_NUM_THREADS": available_cores(),
        "NUM_STREAMS": 1,  # all cores share each image
        "ENABLE_CPU_PINNING": False,  # or several processes would take the same cores
    }
    content = _content(openvino, core, params, usable)
    lock = threading.Lock()

    @lru_cache(maxsize=1)
    def compiled(height: int, width: int) -> Any:
        model = core.read_model(*content)
        model.reshape([1, height, width, CHANNELS])
        return core.compile_model(model, "CPU", settings).create_infer_request()

    def logits(images: np.ndarray) -> np.ndarray:
        check_size(images.shape)
        found = np.empty(images.shape[:3], np.float32)
        with lock:  # a program does one image at a time
            for image, place in zip(images, found, strict=True):
                given = np.ascontiguousarray(image[None], np.float32)
                place[...] = compiled(*image.shape[:2]).infer({0: given}, share_inputs=True)[0][0]
        return found

    return logits


@cache
def _core() -> Any:
    """Return this process's OpenVINO, which is never let go of before its end.

    Its CPU plugin gives the thread that loads it a stack for signals, and unmaps that in whichever thread drops the
    last of it: where that is another one (of a pipeline, or of whatever collects garbage), the next signal, a Ctrl-C or
    a SIGTERM, is a segmentation fault.
    """
    return _import_openvino().Core()


def usable_precision(precision: str, capabilities: Collection[str]) -> str:
    """Return `precision`, but float32 where the processor has no bfloat16, which would be slower than float32."""
    if precision != "bfloat16" or "BF16" in capabilities:
        return precision
    log.warning("--precision bfloat16: this processor has no such instructions; the network computes in float32")
    return "float32"


def _content(openvino: ModuleType, core: Any, params: Params, precision: str) -> tuple[bytes, ...]:
    """What OpenVINO reads as the network: ONNX, or in bfloat16 its own format, where EXACT_MARK can be set."""
    from jaxmask.onnx_program import program  # of the extra, too

    content = program(params, {}).SerializeToString()
    if precision == "float32":
        return (content,)
    with tempfile.TemporaryDirectory() as folder:
        text, weights = Path(folder, "model.xml"), Path(folder, "model.bin")
        openvino.serialize(core.read_model(content), text, weights)
        root = ElementTree.fromstring(text.read_bytes())
        for layer in root.iter("layer"):
            if layer.attrib["name"].startswith(EXACT) and layer.attrib["type"] != "Const":
                ElementTree.SubElement(ElementTree.SubElement(layer, "rt_info"), "attribute", EXACT_MARK)
        return ElementTree.tostring(root), weights.read_bytes()


def _import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry, which would tell its makers of each import, over the network."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"--backend openvino needs the package '{missing[0]}': pip install 'jaxmask[openvino]'")
    former = sys.modules.get(TELEMETRY, missing)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # as if it weren't installed, which OpenVINO allows for
    try:
        import openvino
    finally:
        del sys.modules[TELEMETRY]
        if isinstance(former, ModuleType):
            sys.modules[TELEMETRY] = former
    return openvino
