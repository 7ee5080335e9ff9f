"""Edge: one held-out scene as a picture: what is there, and what the label and the networks take it for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from truth_pixels import HeldOut, read_held_out
from truth_stages import BY_PIXEL, TRUTH, Run, Study

from jaxmask.maskfile import DEFAULT_THRESHOLD, read_mask
from preprocess.files import whole_file
from preprocess.shard import find_shards, read_window

# By truth (0 clear, 1 cloud) times 2 plus what is said; cosmetic pixels are drawn too, though they don't count.
OUTCOMES = {"clear": "#20456e", "false alarm": "#e69f00", "missed": "#d5281e", "cloud": "#f2f2f2"}
SHOWN = (96, 144)  # rows and columns in the middle, so that pixels are seen


def save(study: Study, path: Path) -> None:
    """Draw the scene of the median difference between the U-Net's and the label's share right."""
    rule, seed = study.labels[0], study.seeds[0]
    scenes = read_held_out({rule: study.held_out_shards(rule)}, study.held_out / "truth")
    network = Run("unet", rule, seed)
    gains = [right(scene, said(study, network, scene)) - right(scene, scene.labels[rule].cloud) for scene in scenes]
    scene = scenes[middle(gains)]
    shard = next(found for found in find_shards(study.held_out_shards(rule)) if found.stem == scene.product)
    others = {"pixelwise": Run(BY_PIXEL, rule, seed), "U-Net": network, "U-Net on truth": Run("unet", TRUTH, seed)}
    masks = {"label": scene.labels[rule].cloud} | {name: said(study, run, scene) for name, run in others.items()}
    figure = Figure(figsize=(10.2, 5.0), dpi=90)
    panels = figure.subplots(2, 3).ravel()
    warmth = read_window(shard, slice(None), slice(None), ("bts",))["bts"][..., 1]
    warmth = window(warmth)
    panels[0].imshow(warmth, cmap="gray_r", vmin=np.percentile(warmth, 1), vmax=np.percentile(warmth, 99))
    panels[0].set_title("S8, bright is cold", fontsize=9)
    for panel, (name, cloud) in zip(panels[1:], ({"truth": scene.truth} | masks).items(), strict=True):
        draw(panel, scene, cloud)
        told = "" if name == "truth" else f", {100 * right(scene, cloud):.1f} % right"
        panel.set_title(f"{name}{told}", fontsize=9)
    for panel in panels:
        panel.set_axis_off()
    figure.legend(handles=[Patch(facecolor=colour, edgecolor="black", label=name) for name, colour in OUTCOMES.items()],
                  loc="lower center", ncols=len(OUTCOMES), fontsize=8, frameon=False)  # fmt: skip
    figure.subplots_adjust(left=0.01, right=0.99, top=0.94, bottom=0.07, wspace=0.03, hspace=0.12)
    with whole_file(path) as partial:
        FigureCanvasAgg(figure).print_png(partial)


def said(study: Study, run: Run, scene: HeldOut) -> np.ndarray:
    """Where a run's mask says cloud, (H, W) bool."""
    return read_mask(run.masks(study) / f"{scene.product}.h5").probability > DEFAULT_THRESHOLD


def right(scene: HeldOut, cloud: np.ndarray) -> float:
    """Share of the judged pixels where the mask (H, W) says what is."""
    return float((cloud == scene.truth)[scene.counted].mean())


def middle(values: Sequence[float]) -> int:
    """Which of the values is the median, or the lower of the two."""
    return int(np.argsort(values, kind="stable")[(len(values) - 1) // 2])


def window(image: np.ndarray) -> np.ndarray:
    """The middle of an image (H, W): SHOWN at most."""
    first = [max(0, (size - shown) // 2) for size, shown in zip(image.shape, SHOWN, strict=True)]
    return image[first[0] : first[0] + SHOWN[0], first[1] : first[1] + SHOWN[1]]


def draw(panel: Axes, scene: HeldOut, cloud: np.ndarray) -> None:
    """One mask against truth, in the colours of OUTCOMES."""
    colours = ListedColormap(list(OUTCOMES.values()))
    panel.imshow(window(2 * scene.truth + cloud), cmap=colours, vmin=0, vmax=len(OUTCOMES) - 1, interpolation="nearest")
