"""A small run folder made by hand in the formats that the stages leave, for the tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from jaxmask.inference_record import INFERENCE_NAME
from jaxmask.maskfile import Mask, write_mask
from preprocess.level1 import CONFIDENCE_BITS
from preprocess.scene import Scene, SceneInfo
from preprocess.shard import write_shard
from tests.run_evaluation import make_evaluation

HEIGHT, WIDTH = 48, 72


def product_name(number: int) -> str:
    """A product name of the mission's form."""
    start = f"2017030{number % 9 + 1}T1{number // 10}0{number % 10}00"
    return f"S3A_SL_1_RBT____{start}_{start}_{start}_0179_015_2{number:02d}_1439_SVL_O_NR_004"


def make_scene(number: int, day: bool, height: int = HEIGHT, width: int = WIDTH, labelled: bool = True) -> Scene:
    """Smooth clouds over a sea, with a corner of fill; night scenes hold no sunlight."""
    rng = np.random.default_rng(number)
    field = gaussian_filter(rng.normal(size=(height, width)), 0.06 * height)
    field /= field.std()
    amount = np.clip(field + 0.4, 0, 1).astype(np.float32)
    texture = rng.normal(size=(height, width)).astype(np.float32)
    refs = np.stack([0.05 + (c - 0.05 * i) * amount + 0.005 * texture for i, c in enumerate([0.7] * 6)], axis=-1)
    bts = 292 - 45 * amount[..., None] + 0.1 * texture[..., None] + np.array([1.0, 0, -1])
    valid = np.ones((height, width, 1), np.uint8)
    valid[: height // 6, : width // 8] = 0
    refs = np.where(valid > 0, refs * day, 0).astype(np.float32)
    flags = np.full((height, width), CONFIDENCE_BITS["ocean"] | day * CONFIDENCE_BITS["day"], np.uint16)
    latitude, longitude = np.meshgrid(np.linspace(40, 38, height), np.linspace(1, 5, width), indexing="ij")
    return Scene(
        refs=refs,
        bts=np.where(valid > 0, bts, 270).astype(np.float32),
        rads=None,
        bayes=(255 * (amount[..., None] > 0.35)).astype(np.uint8),
        summary=(255 * (amount[..., None] > 0.4)).astype(np.uint8),
        valid=valid,
        label_valid=valid * np.uint8(labelled),
        measured=np.where(valid[..., 0] > 0, np.uint16(511 if day else 448), np.uint16(0)),
        flags=flags,
        latitude=latitude.astype(np.float32),
        longitude=longitude.astype(np.float32),
        info=make_info(product_name(number), day, labelled, height, width),
    )


def make_info(product: str, day: bool, labelled: bool, rows: int, columns: int) -> SceneInfo:
    """The attributes of such a scene."""
    return SceneInfo(
        product=product, platform="S3A", start_time="2017-03-15T11:34:20Z", collection="004", convention="native",
        calibration="none", regridding="mean", label_rule="any", labelled=labelled, day=day, rows_cropped=0,
        rows=rows, columns=columns, track_offset=columns // 2, start_offset=4081,
        irradiances=(1837.4, 1525.9, 956.2, 365.9, 248.2, 78.3), sun_distance_au=0.995,
    )  # fmt: skip


def make_mask(scene: Scene, noise: float = 0.15) -> Mask:
    """A network's output that agrees with the label but for smooth errors."""
    rng = np.random.default_rng(99)
    label = scene.bayes[..., 0] > 0
    error = gaussian_filter(rng.normal(size=label.shape), 2)
    logit = 3 * np.where(label, 1, -1) + noise * 40 * error
    probability = (1 / (1 + np.exp(-logit))).astype(np.float32)
    valid = scene.valid[..., 0] > 0
    attributes = {"threshold": 0.5, "quantity": "q", "model": "0123456789abcdef", "convention": "native"}
    return Mask(scene.info.product, probability, valid, attributes)


def write_run(run: Path, products: int = 6, height: int = HEIGHT, width: int = WIDTH) -> Path:
    """Fill `run` as all stages would: two thirds of the products train, every third one is at night."""
    names = [product_name(number) for number in range(products)]
    (run / "archive" / "truth").mkdir(parents=True)
    for number, name in enumerate(names):
        scene = make_scene(number, number % 3 != 2, height, width)
        (run / "archive" / f"{name}.zip").write_bytes(b"")
        (run / "extracted" / f"{name}.SEN3").mkdir(parents=True)
        write_shard(run / "hdf" / ("day" if scene.info.day else "night") / f"{name}.hdf", scene)
        (run / "predictions").mkdir(exist_ok=True)
        write_mask(run / "predictions" / f"{name}.h5", make_mask(scene, 0.05 * (number + 1)))
    train, test = names[: products // 2], names[products // 2 :]
    write_model(run / "model", train, test)
    write_statistics(run / "predictions", train, test)
    return run


def write_model(folder: Path, train: list[str], test: list[str], epochs: int = 5) -> None:
    """The files of a model folder that a reader of the run needs (no checkpoints)."""
    folder.mkdir(parents=True)
    config = {
        "flags": {"epochs": epochs, "batch_size": 8, "learning_rate": 0.001},
        "convention": "native", "calibration": "none", "label_rule": "any", "features": 8, "patch_size": 32,
        "positive_weight": 0.5, "split": {"train": train, "test": test}, "versions": {"jax": "0.10.2"},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    lines = [json.dumps(_epoch(epoch)) for epoch in range(1, epochs + 1)]
    (folder / "history.jsonl").write_text("\n".join(lines) + "\n")
    columns = "index,system,num_ranks,num_gpus,total_time,first_epoch_time,second_epoch_time,cpu_only,epochs,batch_size"
    (folder / "results.csv").write_text(f"{columns}\n0,box,1,0,62.5,15.1,11.8,True,{epochs},8\n")


def inference_record(process: int = 0, processes: int = 1, **more: Any) -> dict[str, Any]:
    """What one process of an inference leaves beside the masks."""
    return {
        "masks": 6,
        "pixels": 600_000,
        "seconds": 12.0,
        "backend": "jax",
        "precision": "float32",
        "device": "cpu",
        "devices": 1,
        "process": process,
        "processes": processes,
        "finished": "2026-11-23T10:00:00Z",
    } | more


def _epoch(epoch: int) -> dict[str, Any]:
    def scores(shift: float) -> dict[str, float]:
        accuracy = 0.93 - 0.3 / epoch - shift
        return {"loss": 0.1 + 0.5 / epoch + shift, "accuracy": accuracy, "precision": accuracy, "recall": accuracy,
                "f1": accuracy, "iou": accuracy - 0.1, "weight": 40000.0}  # fmt: skip

    return {"epoch": epoch, "train": scores(0), "validation": None, "test": scores(0.02),
            "train_seconds": 10.0, "validation_seconds": None, "test_seconds": 1.2,
            "train_patches": 64, "validation_patches": 0, "test_patches": 16,
            "patches_per_second": 6.4, "wait_share": 0.01}  # fmt: skip


def write_statistics(folder: Path, train: list[str], test: list[str]) -> None:
    """sst.json, sst_predictions.h5, evaluation.json and inference.json, in agreement where it matters."""
    (folder / INFERENCE_NAME).write_text(json.dumps(inference_record()))
    rows = matchup_rows()
    rows.to_hdf(folder / "sst_predictions.h5", key="data", mode="w", format="table", data_columns=True, index=False)
    statistics = [
        _statistic("bayes", "D2", "day", 240, 0.6, -0.15, 0.25),
        _statistic("unet", "D2", "day", 250, 0.63, -0.16, 0.24),
        _statistic("none", "D2", "day", 400, 1.0, -0.3, 0.6),
        _statistic("bayes", "N3", "night", 0, 0.0, None, None, scenes=0),
    ]
    reference = {"bayes_median": -0.15, "bayes_RSD": 0.25, "unet_median": -0.16, "unet_RSD": 0.24, "agreement": 0.9,
                 "rows": 500, "rows_after_filters": 400}  # fmt: skip
    paired = [_pair("native", -0.01), _pair("equal_coverage", -0.012)]
    sst = {"reference": reference, "statistics": statistics, "paired": paired, **_further_statistics()}
    (folder / "sst.json").write_text(json.dumps(sst))
    matchups = [_statistic("truth", "D2", "day", 250, 0.62, -0.16, 0.21)]
    (folder / "evaluation.json").write_text(json.dumps(make_evaluation(train, test, matchups)))


def _statistic(
    mask: str,
    algorithm: str,
    time: str,
    count: int,
    coverage: float,
    median: float | None,
    rsd: float | None,
    scenes: int = 12,
) -> dict[str, Any]:
    values = {"coverage": coverage, "median": median, "rsd": rsd}
    return {"mask": mask, "algorithm": algorithm, "time_of_day": time, "count": count, **values,
            "cold_tail": 0.08 if count else None, "warm_tail": 0.01 if count else None,
            "scenes": scenes, "eligible_scenes": scenes, **_intervals(values, 0.02, scenes)}  # fmt: skip


def _further_statistics() -> dict[str, Any]:
    """Curves of coverage, equal coverage and dependence: the U-Net's RSD is 0.02 K above Bayes'."""
    names = {"algorithm": "D2", "time_of_day": "day"}
    masks = (("bayes", 0.25), ("unet", 0.27))
    points = {
        mask: [{"at": at, "count": int(400 * at), "coverage": at, "median": -0.1, "rsd": rsd, "cold_tail": 0.1 * at}
               for at in (0.25, 0.5, 0.75, 1.0)]
        for mask, rsd in masks
    }  # fmt: skip
    curves = [{"mask": mask, **names, "eligible": 400, "points": found} for mask, found in points.items()]
    equal = [_statistic(mask, "D2", "day", 240, 0.6, -0.15, rsd) for mask, rsd in masks]
    dependence = [
        {"mask": mask, "by": by, "unit": "", "from": low, "to": low + 10, **names, "eligible": 100, "count": count,
         "median": -0.1 if count else None, "rsd": rsd if count else None}
        for mask, rsd in masks for by in ("latitude", "zenith_angle") for low, count in ((0, 100), (10, 25), (20, 0))
    ]  # fmt: skip
    return {"coverage_curves": curves, "equal_coverage": equal, "dependence": dependence}


def _pair(at: str, difference_k: float) -> dict[str, Any]:
    differences = {"coverage": 0.03, "median": -0.01, "rsd": difference_k}
    return {"mask": "unet", "minus": "bayes", "at": at, "algorithm": "D2", "time_of_day": "day", "eligible": 400,
            "both": 230, "only_first": 20, "only_second": 10, "differences": differences, "scenes": 12,
            **_intervals(differences, 0.015, 12)}  # fmt: skip


def _intervals(values: dict[str, Any], half: float, scenes: int) -> dict[str, Any]:
    if scenes < 10:
        return {"intervals": None, "no_interval_because": f"{scenes} scenes with rows, fewer than 10"}
    return {"intervals": {name: [value - half, value + half] for name, value in values.items()}}


def matchup_rows(count: int = 400) -> pd.DataFrame:
    """Match-ups as `sst_predictions.h5` holds them: lower-cased columns, the mask's value, all of them D2."""
    rng = np.random.default_rng(5)
    cloudy = rng.random(count) < 0.4
    sst_k = rng.uniform(280, 300, count)
    error = -0.17 + 0.22 * rng.standard_normal(count) - cloudy * rng.exponential(3, count)
    constant = {"slat": 10.0, "slon": 20.0, "latitude_an": 10.0, "longitude_an": 20.0, "satzan": 30.0, "satzao": 54.0,
                "quality_level": 5, "sst_algorithm_type": 4, "pcloudo": 0.05, "y_cems": 3, "x_cems": 4,
                "cems_path": f"/x/{product_name(0)}.SEN3", "in_reference": True, "in_statistics": True}  # fmt: skip
    frame = pd.DataFrame({name: [value] * count for name, value in constant.items()})
    return frame.assign(
        isst=sst_k - 273.15,
        **{f"sat_sst_{i}": sst_k + error if i == 2 else np.full(count, np.nan) for i in range(4)},
        pcloudn=np.where(cloudy ^ (rng.random(count) < 0.1), 0.97, 0.05),
        bayes_in=cloudy.astype(float),
        model_mask=np.where(cloudy ^ (rng.random(count) < 0.07), 0.9, 0.1),
    )


def write_truth(path: Path, scene: Scene) -> None:
    """The hidden truth of a product, as the simulator stores it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["cloud"] = (scene.bayes[..., 0] > 0).astype(np.uint8)
