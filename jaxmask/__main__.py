"""Edge: `jaxmask STAGE ...`, the same as `python -m jaxmask.STAGE ...`; alone it prints the map of the stages."""

from __future__ import annotations

import runpy
import sys

from preprocess.errors import EXIT_DONE, EXIT_USAGE

STAGES = {
    "simulate": ("preprocess.simulate", "make an archive of simulated products with known clouds"),
    "extract": ("preprocess.extract", "unpack a list of zips, verified, into .SEN3 folders"),
    "convert": ("preprocess.convert", "turn products into HDF shards on one 1 km grid"),
    "describe": ("preprocess.describe", "say what is in a product or shard, flags decoded"),
    "train": ("jaxmask.train", "train the U-Net on shards, on every device there is"),
    "results": ("jaxmask.results", "print the benchmark's row of a training, or tables of many"),
    "export": ("jaxmask.export", "write a model for other programs: safetensors, Keras, StableHLO"),
    "infer": ("jaxmask.infer", "write a cloud mask for each shard or product"),
    "sst": ("jaxmask.sst", "judge the masks by match-ups with buoys"),
    "evaluate": ("jaxmask.evaluate", "compare masks with labels, and with truth where it is known"),
    "mlcommons": ("jaxmask.mlcommons", "run MLCommons' CloudMask benchmark from its own file"),
    "report": ("jaxmask.report", "show a run as one HTML page"),
    "demo": ("jaxmask.demo", "all of it, on a simulated archive"),
}


def main() -> None:
    """Run the stage that the first argument names, or print the stages and exit."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in STAGES:
        asked_for_help = name in ("", "-h", "--help")
        print(stage_map(name), file=sys.stdout if asked_for_help else sys.stderr)
        sys.exit(EXIT_DONE if asked_for_help else EXIT_USAGE)
    module, _ = STAGES[name]
    sys.argv = [f"jaxmask {name}", *sys.argv[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def stage_map(name: str) -> str:
    """The table of stages, headed by what was wrong with `name` if anything was."""
    head = "" if name in ("", "-h", "--help") else f"jaxmask: error: there is no stage {name!r}; the stages are:\n\n"
    rows = "\n".join(f"  {stage:9} {purpose}" for stage, (_, purpose) in STAGES.items())
    return f"{head}jaxmask STAGE [flags]        flags of a stage: jaxmask STAGE --help\n\n{rows}"


if __name__ == "__main__":
    main()
