"""Edge: the network computed by OpenVINO on this machine's processor; needs the extra `openvino`."""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Collection
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from jaxmask.pixels import CHANNELS
from jaxmask.unet import Params, check_size
from preprocess.command import log
from preprocess.cores import available_cores
from preprocess.errors import UserError

PACKAGES = ("openvino", "onnx")
TELEMETRY = "openvino_telemetry"


def open_logits(params: Params, precision: str) -> Callable[[np.ndarray], np.ndarray]:
    """The model's Logits, on all cores that this process may use, whatever accelerators there are.

    params: as `unet.create` nests them; precision: "float32" | "bfloat16", which needs a processor that has it.
    One image at a time, as more at once are no faster. Compiled (a tenth of a second, and a half more in the first
    scene) for the size of the last image: a program for any size would need a twentieth more time and a fifth more
    memory. Raises UserError naming the extra if a package is missing; the function, ValueError as `unet.apply`.
    """
    openvino = _import_openvino()
    from jaxmask.onnx_program import program  # of the extra, too

    core = openvino.Core()
    usable = usable_precision(precision, core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    settings = {
        "INFERENCE_PRECISION_HINT": {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}[usable],
        "INFERENCE_NUM_THREADS": available_cores(),
        "NUM_STREAMS": 1,  # all cores share each image
        "ENABLE_CPU_PINNING": False,  # or several processes would take the same cores
    }
    content = program(params, {}).SerializeToString()
    lock = threading.Lock()

    @lru_cache(maxsize=1)
    def compiled(height: int, width: int) -> Any:
        model = core.read_model(content)
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


def usable_precision(precision: str, capabilities: Collection[str]) -> str:
    """Return `precision`, but float32 where the processor has no bfloat16, which would be slower than float32."""
    if precision != "bfloat16" or "BF16" in capabilities:
        return precision
    log.warning("--precision bfloat16: this processor has no such instructions; the network computes in float32")
    return "float32"


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
