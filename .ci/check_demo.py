"""Fail unless the demo's figures are what the README promises: check_demo.py demo/"""

import json
import sys
from pathlib import Path

LEAST_MARGIN = 0.15

folder = Path(sys.argv[1])
records = json.loads((folder / "predictions" / "evaluation.json").read_text())["records"]
held_out = {(r["mask"], r["against"]): r for r in records if (r["part"], r["stratum"]) == ("test", "all")}
label = held_out["unet", "label"]
margin = label["agreement"] - label["majority"]
if margin < LEAST_MARGIN:
    sys.exit(f"U-Net agrees with held-out labels only {margin:.3f} more than the majority class; wanted {LEAST_MARGIN}")
for pair in (("unet", "truth"), ("bayes", "truth")):
    if not held_out[pair]["count"]:
        sys.exit(f"no pixel of {pair} was compared")
masks = {row["mask"] for row in json.loads((folder / "predictions" / "sst.json").read_text())["statistics"]}
if not {"bayes", "unet"} <= masks:
    sys.exit(f"sst.json has statistics for {sorted(masks)} only")
page = (folder / "report.html").read_text()
if "http://" in page.replace("http://www.w3.org", "") or "https://" in page:
    sys.exit("report.html refers to the network")
print(f"demo: margin over the majority class {margin:.3f}; report.html has {len(page):,} characters")
