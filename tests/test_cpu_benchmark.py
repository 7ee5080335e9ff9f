"""The CPU benchmark at tiny sizes: what it reports, how it meets its peer; its rates are only checked for sense."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "cpu.py"
TINY = ["--features", "1", "--batch", "1", "--patch", "16", "--scene", "16x24", "--rounds", "1", "--calls", "1"]

# Answers as keras_peer.py does, whatever its flags: a call takes 2 s, and 3 s of the processor.
PEER = """#!{python}
import json, sys
if sys.argv[1] == "-c":
    sys.exit(0)
print(json.dumps({{"peer": "a stand-in", "versions": {{"tensorflow": "0"}}}}), flush=True)
for line in sys.stdin:
    what, times = line.split()
    print(json.dumps({{"wall_s": 2.0 * int(times), "cpu_s": 3.0 * int(times)}}), flush=True)
"""


def _run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *TINY, *flags]
    return subprocess.run(command, cwd=SCRIPT.parents[1], capture_output=True, text=True, timeout=200, check=False)


def test_all_is_timed_beside_the_peer(tmp_path: Path) -> None:
    peer = tmp_path / "python"
    peer.write_text(PEER.format(python=sys.executable))
    peer.chmod(0o755)
    done = _run("--peer-python", str(peer), "--output", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert json.loads((tmp_path / "out.json").read_text()) == report
    assert {what: list(rows) for what, rows in report["results"].items()} == {
        "forward": ["Keras/TensorFlow", "jaxmask", "jaxmask, XLA's own"],
        "scene": ["jaxmask", "jaxmask, XLA's own"],
        "train": ["Keras/TensorFlow", "jaxmask", "jaxmask, XLA's own"],
    }
    assert report["peer"]["peer"] == "a stand-in"
    keras, ours = report["results"]["train"]["Keras/TensorFlow"], report["results"]["train"]["jaxmask"]
    assert (keras["a_second"], keras["cores_used"], keras["times_peer"]) == (0.5, 1.5, 1.0)
    assert ours["times_peer"] == pytest.approx(ours["a_second"] / 0.5)
    assert report["temporary_mb"]["train"]["jaxmask"] > 0
    assert "| training step, patches | jaxmask |" in done.stderr


def test_without_tensorflow_the_report_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    cpu = importlib.import_module("cpu")
    peer = tmp_path / "python"
    peer.write_text("#!/bin/sh\nexit 1\n")
    peer.chmod(0o755)
    with cpu.peer_works(cpu.parse([*TINY, "--peer-python", str(peer)])) as (works, about):
        assert works == {}
        assert about == {"skipped": f"{peer} has no tensorflow: install the extra `peer`, or give --peer-python"}
    # 8 patches in 2 and 4 s: 4 and 2 a second; no ratios without a peer
    clocks = {("train", "jaxmask"): [{"wall_s": 2.0, "cpu_s": 3.0}, {"wall_s": 4.0, "cpu_s": 6.0}]}
    found = cpu.summary(clocks, cpu.parse(["--batch", "8", "--calls", "1"]))
    assert found == {"train": {"jaxmask": {"a_second": 3.0, "cpu_s_each": 0.5625, "cores_used": 1.5}}}


def test_impossible_sizes_are_refused() -> None:
    done = _run("--rounds", "0")
    assert done.returncode == 2
    assert "--rounds must be 1 or more; found 0" in done.stderr


@pytest.mark.skipif(not importlib.util.find_spec("tensorflow"), reason="needs TensorFlow: the extra `peer`")
def test_the_real_peer_answers() -> None:
    report = json.loads(_run().stdout)
    assert report["peer"]["peer"] == "tf.function, oneDNN"
    assert report["results"]["train"]["Keras/TensorFlow"]["a_second"] > 0
