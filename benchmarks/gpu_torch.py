"""The peer of gpu.py: the same U-Net, loss and optimiser in PyTorch, as its guides say to make it fast on a GPU.

channels_last, autocast to bfloat16, torch.compile, cuDNN's own search for algorithms, a fused Adam. It takes what our
step takes (int16 counts, uint8 labels and weights) and gives what our step gives: the loss and four counts of pixels.
Of jaxmask it takes constants alone, no device is touched by JAX here: each framework has a process to itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from gpu_plan import Work
from gpu_work import Prepared, clip_offset, random_batch, random_images
from torch import nn
from torch.nn import functional

from jaxmask.losses import CLIP_OFFSET, LOGIT_BOUND, POSITIVE_WEIGHT
from jaxmask.optimiser import LEARNING_RATE
from jaxmask.pixels import CENTRES, CHANNELS, STEPS
from jaxmask.unet import DEPTH

ADAM_EPSILON = 1e-7  # of Keras, as ours


class ConvPair(nn.Module):
    """Two 3 x 3 convolutions of the same size, each with bias and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.second(functional.relu(self.first(x))))


class UNet(nn.Module):
    """jaxmask.unet.UNet, layer by layer."""

    def __init__(self, features: int) -> None:
        super().__init__()
        widths = [features * 2**level for level in range(DEPTH + 1)]
        inputs = [CHANNELS, *widths]
        self.encoder = nn.ModuleList(ConvPair(inputs[level], widths[level]) for level in range(DEPTH))
        self.bottom = ConvPair(inputs[DEPTH], widths[DEPTH])
        self.decoder = nn.ModuleList(
            ConvPair(widths[level + 1] + widths[level], widths[level]) for level in reversed(range(DEPTH))
        )
        self.head = nn.Conv2d(features, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for pair in self.encoder:
            skips.append(pair(x))
            x = functional.max_pool2d(skips[-1], 2)
        x = self.bottom(x)
        for pair, skip in zip(self.decoder, reversed(skips), strict=True):
            x = pair(torch.cat([functional.interpolate(x, scale_factor=2, mode="nearest"), skip], dim=1))
        return self.head(x)


def load(net: UNet, params: dict[str, Any]) -> None:
    """Give the network our parameters (numpy, kernels HWIO)."""

    def give(layer: Any, found: dict[str, Any]) -> None:
        if "kernel" in found:
            kernel = np.array(np.asarray(found["kernel"]).transpose(3, 2, 0, 1))
            layer.weight.data.copy_(torch.from_numpy(kernel))
            layer.bias.data.copy_(torch.from_numpy(np.array(found["bias"])))
            return
        for name, inner in found.items():
            give(layer[int(name)] if name.isdigit() else getattr(layer, name), inner)

    give(net, params)


def mean_loss(net: nn.Module, batch: dict[str, torch.Tensor], clip: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss of jaxmask.losses and the counts of jaxmask.metrics of an NHWC batch of int16 and uint8."""
    steps, centres = (torch.from_numpy(each).to(batch["image"].device) for each in (STEPS, CENTRES))
    image = (batch["image"].float() * steps + centres).permute(0, 3, 1, 2)  # seen as NCHW, it lies channels_last
    logits = net(image).float().permute(0, 2, 3, 1)
    label, weight = batch["label"].float(), batch["weight"].float()
    inside = torch.zeros_like(weight)
    inside[:, clip : weight.shape[1] - clip, clip : weight.shape[2] - clip] = 1.0
    weight = weight * inside
    bounded = logits.clamp(-LOGIT_BOUND, LOGIT_BOUND)
    cost = POSITIVE_WEIGHT * label * functional.softplus(-bounded) + (1 - label) * functional.softplus(bounded)
    counted, predicted, cloud = weight > 0, logits > 0, label > 0
    counts = [counted & predicted & cloud, counted & predicted & ~cloud, counted & ~predicted & cloud]
    counts.append(counted & ~predicted & ~cloud)
    return (weight * cost).sum() / weight.sum(), torch.stack([count.sum() for count in counts])


def describe() -> dict[str, Any]:
    """What this process computes on and with."""
    cuda = torch.cuda.is_available()
    return {
        "version": torch.__version__,
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
    }


def prepare(work: Work) -> Prepared:
    """Make the work ready and do it once, which compiles it; raises what PyTorch raises."""
    torch.compiler.reset()
    torch.backends.cudnn.benchmark = True
    full = work["precision"] == "float32"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = not full
    makers = {"train": train, "infer": infer, "scene": infer, "matmul": matmul}
    return makers[work["kind"]](work)


def train(work: Work) -> Prepared:
    """Full steps on one batch that lies on the device."""
    device = where()
    net = network(work)
    optimiser = torch.optim.Adam(net.parameters(), lr=LEARNING_RATE, eps=ADAM_EPSILON, fused=device.type == "cuda")
    batch = {
        name: torch.from_numpy(array).to(device) for name, array in random_batch(work["batch"], work["patch"]).items()
    }
    clip = clip_offset(work["patch"], CLIP_OFFSET)

    def forward(given: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        with autocast(work):
            return mean_loss(net, given, clip)

    compiled = compiled_as(forward, work)

    def run(times: int) -> None:
        for _ in range(times):
            loss, counts = compiled(batch)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        float(loss.detach()), counts.tolist()  # waits

    return begun(run, work["batch"], {"parameters": sum(each.numel() for each in net.parameters())})


def infer(work: Work) -> Prepared:
    """Cloud probabilities of images: of a batch that lies on the device, or of a scene from and to host memory."""
    net, scene = network(work), work["kind"] == "scene"
    shape = (1 if scene else work["batch"], work["rows"], work["columns"])
    host = torch.from_numpy(random_images(shape))
    there = host.to(where())

    @torch.no_grad()
    def forward(image: torch.Tensor) -> torch.Tensor:
        with autocast(work):
            return torch.sigmoid(net(image.permute(0, 3, 1, 2)).float())

    compiled = compiled_as(forward, work)

    def run(times: int) -> None:
        for _ in range(times):
            found = compiled(host.to(where())).cpu() if scene else compiled(there)
        float(found[0, 0, 0, 0])

    return begun(run, shape[0], {})


def matmul(work: Work) -> Prepared:
    """A product of two square matrices of random numbers."""
    dtype = torch.bfloat16 if work["precision"] == "bfloat16" else torch.float32
    size = (work["size"], work["size"])
    left, right = (torch.randn(size, device=where(), dtype=torch.float32).to(dtype) for _ in range(2))

    def run(times: int) -> None:
        for _ in range(times):
            found = left @ right
        float(found[0, 0])

    return begun(run, 1, {})


def network(work: Work) -> UNet:
    """A network of random parameters, channels_last, on the device."""
    torch.manual_seed(0)
    return UNet(work["features"]).to(where(), memory_format=torch.channels_last)


def autocast(work: Work) -> AbstractContextManager[Any]:
    """Convolutions in bfloat16 where that is asked for."""
    return torch.autocast(where().type, torch.bfloat16, enabled=work["precision"] == "bfloat16")


def compiled_as(function: Callable[..., Any], work: Work) -> Callable[..., Any]:
    """The function compiled in the mode that the work names; "off" leaves it as it is."""
    mode = work["torch_mode"]
    return function if mode == "off" else torch.compile(function, mode=mode, dynamic=False)


def begun(run: Callable[[int], None], items: int, about: dict[str, Any]) -> Prepared:
    """Do it once."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    run(1)
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return Prepared(run, items, about | {"peak_bytes": peak})


def forget() -> None:
    """Give the device's memory back, for the other framework."""
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def where() -> torch.device:
    """The device."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
