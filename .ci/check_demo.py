"""Fail unless the demo's figures are what the README promises: check_demo.py demo/"""

import html
import json
import re
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
# What the viewer's library names in its text is no reference: the page's policy lets nothing be asked for.
asked = re.findall(
    r"""(?:src|href|action)=["']?(?!#|data:|scenes/)([^"' >]+)""", re.sub(r"<script>.*?</script>", "", page, flags=re.S)
)
if asked or "content=\"default-src 'none'" not in html.unescape(page):
    sys.exit(f"report.html refers to {asked}, or has no policy against requests")
print(f"demo: margin over the majority class {margin:.3f}; report.html has {len(page):,} characters")
