"""Edge: the flags of inference, with their bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from jaxmask.maskfile import DEFAULT_THRESHOLD
from jaxmask.tiles import CROP_SIZE, PATCH_SIZE
from preprocess.colour import Night
from preprocess.errors import UserError
from preprocess.flags import Parallel, check
from preprocess.members import Verify

LARGEST_BUFFER = 100  # pixels of 1 km
LEAST_MAX_PIXELS = 256 * 256  # a tile of halo 56 must have a middle


@dataclass(frozen=True)
class InferConfig(Parallel):
    """Predict a cloud mask for every scene; masks that are there already, of the same model and flags, are kept."""

    model: Positional[Annotated[Path, arg(metavar="MODEL")]]
    """Model folder that jaxmask.train wrote, or a model.h5 of the original."""
    scenes: Positional[Annotated[Path, arg(metavar="SCENES")]]
    """Shards, .SEN3 folders or zips: one, a folder of them, or a text file that lists them."""
    predictions: Positional[Annotated[Path, arg(metavar="PREDICTIONS")]]
    """Folder for the masks, NAME.h5."""
    checkpoint: Literal["latest", "best"] = "latest"
    """Which of the model folder's checkpoints."""
    ensemble: tuple[Path, ...] = ()
    """Further models, of the same kind of input: the mean of all models' logits is the output."""
    flips: bool = False
    """Average the logits of the scene and of its three mirror images: four times the work."""
    backend: Literal["jax", "openvino"] = "jax"
    """What computes the network: jax on any device, or OpenVINO on a CPU (extra: openvino)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What the network computes in; bfloat16 changes about one decision in a thousand."""
    batch_size: int = 1
    """Scenes of one size that each device computes at once."""
    tiling: Literal["scene", "reference"] = "scene"
    """The whole scene at once, or the original's overlapping tiles."""
    max_pixels: int | None = None
    """Cut a scene of more pixels than this into tiles that give the same mask in less memory. On a CPU the network
    takes about 640 bytes a pixel in jax (1.1 GB for 1200 x 1500), 300 in OpenVINO, 170 there in bfloat16. Tiles of
    1000000 pixels are 7 % more work for such a scene, of 500000 26 %, of 262144 42 %."""
    crop_size: int | None = None
    """Overlap of neighbouring tiles, pixels, by default 80; only with --tiling reference."""
    threshold: float = DEFAULT_THRESHOLD
    """A pixel is cloud where the stored value exceeds this; recorded in the mask."""
    probability: bool = False
    """Store P(cloud), with the loss's weight taken out, instead of the network's output."""
    buffer: int = 0
    """Spread cloud by so many pixels in every direction: each pixel takes the greatest value within that radius."""
    netcdf: bool = False
    """Write NAME_cloud.nc beside each mask: probability, flag and position on the product's grid, CF-1.11."""
    png: bool = False
    """Write a quicklook NAME.png beside each mask."""
    night: Night = "microphysics"
    """What quicklooks show where there is no sunlight: differences of S7, S8 and S9 as red, green and blue, or S8 in
    grey."""
    force: bool = False
    """Take shards of another convention, calibration or regridding than the model's."""
    verify: Verify = "bytes"
    """What the files of raw products must agree with. bytes: the manifest's sizes, and the manifest's MD5 sums in a
    folder, the zip's own CRC-32 sums in a zip; md5: the manifest's sizes and MD5 sums in both; none: no manifest."""
    overwrite: bool = False
    """Replace masks of another model or of other flags."""
    cpu_only: bool = False
    """Leave accelerators alone."""
    num_processes: int | None = None
    """Processes among which the scenes are dealt out; by default as Slurm, Open MPI, Kubernetes or launch.local say."""
    process_id: int | None = None
    """Number of this process among them, from 0; only with --num-processes."""
    workers: int | None = field(default=None, kw_only=True)
    """Reading processes on this machine; 0: a thread of this one. By default threads for shards, processes for raw
    products, as many as keep the devices busy: a core each beside accelerators, fewer where the network takes the
    cores."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(0 < self.threshold < 1, "threshold", "between 0 and 1", self.threshold)
        check(self.batch_size >= 1, "batch_size", "1 or more", self.batch_size)
        check(0 <= self.buffer <= LARGEST_BUFFER, "buffer", f"from 0 to {LARGEST_BUFFER} pixels", self.buffer)
        least = self.max_pixels is None or self.max_pixels >= LEAST_MAX_PIXELS
        check(least, "max_pixels", f"{LEAST_MAX_PIXELS} or more", self.max_pixels)
        overlap = self.crop_size is None or 0 <= self.crop_size < PATCH_SIZE
        check(overlap, "crop_size", f"0 or more and below {PATCH_SIZE}", self.crop_size)
        if self.tiling != "reference" and self.crop_size is not None:
            raise UserError("--crop-size belongs to --tiling reference; the whole scene needs no overlap: leave it out")
        if self.tiling == "reference" and self.max_pixels is not None:
            raise UserError("--max-pixels contradicts --tiling reference, whose tiles are small already: leave it out")

        if (self.num_processes is None) != (self.process_id is None):
            raise UserError("--num-processes and --process-id go together: give both or neither")
        if self.num_processes is not None and self.process_id is not None:
            check(self.num_processes >= 1, "num_processes", "1 or more", self.num_processes)
            bound = f"from 0 to {self.num_processes - 1}"
            check(0 <= self.process_id < self.num_processes, "process_id", bound, self.process_id)

    @property
    def crop(self) -> int:
        """`crop_size`, or the original's 80."""
        return CROP_SIZE if self.crop_size is None else self.crop_size
