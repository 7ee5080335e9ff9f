"""The stages: what each is called, where it lies, what it is for, and the map that shows what feeds what."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Stage:
    """One command: `jaxmask NAME` and `python -m MODULE`."""

    name: str
    module: str
    flags_module: str  # where its dataclass of flags lies, apart from what the stage itself imports
    flags_name: str
    purpose: str

    def flags(self) -> type[Any]:
        """Import its dataclass of flags, and return it."""
        found: type[Any] = getattr(import_module(self.flags_module), self.flags_name)
        return found


STAGES = (
    Stage("simulate", "preprocess.simulate", "preprocess.simulate", "SimulateConfig",
          "make an archive of simulated products"),
    Stage("extract", "preprocess.extract", "preprocess.extract", "ExtractConfig",
          "unpack zips into .SEN3 folders, each verified"),
    Stage("convert", "preprocess.convert", "preprocess.convert_settings", "ConvertConfig",
          "turn products into HDF shards on one 1 km grid"),
    Stage("describe", "preprocess.describe", "preprocess.describe", "DescribeConfig",
          "say what is in a product or shard, and show it"),
    Stage("train", "jaxmask.train", "jaxmask.train", "TrainCommand",
          "train the U-Net on shards, on every device"),
    Stage("results", "jaxmask.results", "jaxmask.results", "ResultsConfig",
          "print the benchmark's row of a training, or tables"),
    Stage("export", "jaxmask.export", "jaxmask.export", "ExportConfig",
          "write a model as Keras, safetensors, StableHLO, ONNX"),
    Stage("infer", "jaxmask.infer", "jaxmask.infer_config", "InferConfig",
          "write a cloud mask for each shard or product"),
    Stage("sst", "jaxmask.sst", "jaxmask.sst", "SstConfig",
          "judge masks by match-ups with buoys"),
    Stage("evaluate", "jaxmask.evaluate", "jaxmask.evaluate_config", "EvaluateConfig",
          "compare masks with labels, and with the truth"),
    Stage("report", "jaxmask.report", "jaxmask.report", "ReportConfig",
          "show the run as one HTML page"),
    Stage("mlcommons", "jaxmask.mlcommons", "jaxmask.mlcommons", "MlcommonsConfig",
          "run MLCommons' CloudMask benchmark from its own file"),
    Stage("demo", "jaxmask.demo", "jaxmask.demo", "DemoConfig",
          "do all of it on a simulated archive"),
    Stage("completion", "jaxmask.completion", "jaxmask.completion", "CompletionConfig",
          "print what completes stages and flags in your shell"),
)  # fmt: skip
# Beside a bar: the folder that one stage leaves and the next one takes.
MAP = """\
jaxmask STAGE [flags]       the flags of a stage: jaxmask STAGE --help

  simulate                  {simulate}
   |  archive/              (or a list of your own zips)
  extract                   {extract}
   |  extracted/
  convert                   {convert}
   |  hdf/
   +-> train                {train}
   |    |  model/
   +----+-> infer           {infer}
   |         |  predictions/
   |         +-> sst        {sst}
   +---------+-> evaluate   {evaluate}
                  |  sst.json, evaluation.json
  report <--------+         {report}

Beside the way:
  describe                  {describe}
  results                   {results}
  export                    {export}
  mlcommons                 {mlcommons}
  demo                      {demo}
  completion                {completion}

jaxmask --version           python -m MODULE is the same, as jaxmask.train"""


def stage_named(name: str) -> Stage | None:
    """Return the stage of that name; None if there is none."""
    return next((stage for stage in STAGES if stage.name == name), None)


def stage_map() -> str:
    """Return the map of the stages, in the order of the data's way: at most 80 columns and 30 lines."""
    return MAP.format(**{stage.name: stage.purpose for stage in STAGES})


def no_such_stage(name: str) -> str:
    """Return what to tell whoever asks for a stage that there isn't, with the nearest that there is."""
    near = difflib.get_close_matches(name.lower(), [stage.name for stage in STAGES], n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(stage.name for stage in STAGES)};"
    return f"there is no stage {name!r}; {hint} jaxmask alone shows what they are for"
