// The viewer of scenes. OpenSeadragon zooms, pans and draws; here: values unpacked, layers painted, pixels read out.
(() => {
  "use strict";
  const byId = (name) => document.getElementById(`viewer-${name}`);
  const root = document.getElementById("viewer");
  const scenes = [...document.querySelectorAll(".scene:has(.viewer-data)")];
  if (!root || !scenes.length || !window.OpenSeadragon || !window.DecompressionStream) return; // the pictures stay
  const [stage, frame, cross, divider, list, status, scale, opacity] =
    ["stage", "frame", "cross", "divider", "values", "status", "scale", "opacity"].map(byId);
  const LABEL_CLOUD = 1, LABEL_KNOWN = 2, MASK_CLOUD = 4, MASK_KNOWN = 8;
  const NOTHING = "no data";
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let shown = null; // the one scene that is open: its viewer, values, layers, and the pixel that is read out
  let share = 0.5; // of the frame's width, where the divider is

  // ---- values -----------------------------------------------------------------------------------------------------

  async function inflate(text) {
    const deflated = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Undoes jaxmask/packing.py: codes, 0 where nothing is known.
  async function codes(packed, rows, columns) {
    const bytes = await inflate(packed.data);
    const size = rows * columns;
    const out = new Int32Array(size);
    for (let i = 0; i < size; i++) {
      let folded = bytes[i];
      for (let plane = 1; plane < packed.planes; plane++) folded |= bytes[plane * size + i] << (8 * plane);
      out[i] = (folded >>> 1) ^ -(folded & 1);
    }
    if (packed.predictor === "none") return out;
    const { predictor } = packed;
    for (let row = 0, i = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, i++) {
        const left = column ? out[i - 1] : 0;
        if (predictor === "left") { out[i] += left; continue; }
        const upper = row ? out[i - columns] : 0;
        if (predictor === "mean") { out[i] += (left + upper) >> 1; continue; }
        out[i] += left + upper - (row && column ? out[i - columns - 1] : 0);
      }
    }
    return out;
  }

  // Whole numbers, as those of flags: every one is known.
  async function numbers(packed, rows, columns) {
    const out = await codes(packed, rows, columns);
    for (let i = 0; i < out.length; i++) out[i] += packed.lowest - 1;
    return out;
  }

  async function unpack(content) {
    const { rows, columns } = content;
    const quantities = new Map();
    for (const packed of content.quantities) {
      const known = await codes(packed, rows, columns);
      const base = quantities.get(packed.relative)?.whole;
      const whole = new Int32Array(known.length);
      for (let i = 0; i < whole.length; i++) if (known[i]) whole[i] = known[i] - 1 + packed.lowest + (base ? base[i] : 0);
      quantities.set(packed.name, { ...packed, data: null, known, whole });
    }
    const decided = await numbers(content.decided, rows, columns);
    return { quantities, decided, flags: await numbers(content.flags, rows, columns) };
  }

  const valueAt = ({ known, whole, quantum }, i) => (known[i] ? whole[i] * quantum : null);

  // ---- layers -----------------------------------------------------------------------------------------------------

  const word = ([red, green, blue]) => (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0; // RGBA, low byte first
  const rgb = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));

  function colourOf(layer, { content, quantities, decided }) {
    const { colours } = content;
    const [cloud, clear, label, mask, none] = ["cloud", "clear", "label", "mask", "none"].map((name) => word(colours[name]));
    if (layer === "output") {
      const table = content.table.map((text) => word(rgb(text)));
      const output = quantities.get("output");
      return (i) => (output.known[i] ? table[Math.min(table.length - 1, Math.floor(valueAt(output, i) * table.length))] : none);
    }
    const both = LABEL_KNOWN | MASK_KNOWN;
    return (i) => {
      const bits = decided[i];
      if (layer === "mask") return bits & MASK_KNOWN ? (bits & MASK_CLOUD ? cloud : clear) : none;
      if ((bits & both) !== both) return none;
      const [said, found] = [bits & LABEL_CLOUD, bits & MASK_CLOUD];
      if (layer === "label") return said ? cloud : clear;
      return said ? (found ? cloud : label) : found ? mask : clear;
    };
  }

  function painted(layer, scene) {
    const { rows, columns } = scene.content;
    const canvas = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
    const context = canvas.getContext("2d");
    if (layer === "base") {
      context.drawImage(scene.picture, 0, 0, columns, rows);
      return canvas;
    }
    const image = context.createImageData(columns, rows);
    const view = new DataView(image.data.buffer);
    const colour = colourOf(layer, scene);
    for (let i = 0; i < rows * columns; i++) view.setUint32(4 * i, colour(i), true);
    context.putImageData(image, 0, 0);
    return canvas;
  }

  // A canvas as OpenSeadragon's source of tiles: one a level, each half as wide as the next.
  function sourceOf(canvas, name) {
    const { width, height } = canvas;
    const sizes = [[width, height]];
    while (Math.min(...sizes[0]) >= 32) sizes.unshift(sizes[0].map((size) => Math.floor(size / 2)));
    const source = new OpenSeadragon.TileSource({
      width, height, tileWidth: width, tileHeight: height, tileOverlap: 0, minLevel: 0, maxLevel: sizes.length - 1,
    });
    source.getLevelScale = (level) => (sizes[level] ? sizes[level][0] / width : NaN);
    source.getNumTiles = (level) => (sizes[level] ? new OpenSeadragon.Point(1, 1) : new OpenSeadragon.Point(0, 0));
    source.getTileUrl = (level) => `layer:${name}/${level}`;
    source.getTilePostData = (level) => ({ level });
    source.downloadTileStart = (job) => {
      const [w, h] = sizes[job.postData.level];
      const copy = Object.assign(document.createElement("canvas"), { width: w, height: h });
      const context = copy.getContext("2d");
      context.drawImage(canvas, 0, 0, w, h);
      job.finish(context, null, "context2d");
    };
    source.downloadTileAbort = () => {};
    return source;
  }

  function addLayer(layer, scene) {
    return new Promise((resolve, reject) => {
      scene.viewer.addTiledImage({
        tileSource: sourceOf(painted(layer, scene), `${scene.content.product}/${layer}`), x: 0, y: 0, width: 1,
        opacity: layer === "base" ? 1 : 0,
        success: ({ item }) => resolve(item), error: ({ message }) => reject(new Error(message)),
      });
    });
  }

  const chosenLayer = () => root.querySelector("[name=viewer-layer]:checked").value;

  async function showLayers() {
    const scene = shown;
    if (!scene) return;
    const layer = chosenLayer();
    const wanted = layer === "swipe" ? ["label", "mask"] : layer === "none" ? [] : [layer];
    for (const name of wanted) scene.layers[name] ??= addLayer(name, scene);
    for (const element of [divider, byId("left"), byId("right")]) element.hidden = layer !== "swipe";
    for (const [name, adding] of Object.entries(scene.layers)) {
      const item = await adding;
      if (scene !== shown) return;
      if (name !== "base") item.setOpacity(wanted.includes(name) ? Number(opacity.value) / 100 : 0);
    }
    clip(scene);
  }

  // The label is drawn left of the divider, the mask right of it, wherever the picture has been moved to.
  async function clip(scene) {
    if (!scene.layers.label && !scene.layers.mask) return;
    const [label, mask] = await Promise.all([scene.layers.label, scene.layers.mask]);
    if (scene !== shown) return;
    const { rows, columns } = scene.content;
    const swiped = chosenLayer() === "swipe";
    const at = scene.viewer.viewport.viewerElementToImageCoordinates(new OpenSeadragon.Point(share * frame.clientWidth, 0)).x;
    const edge = Math.min(columns, Math.max(0, at));
    label?.setClip(swiped ? new OpenSeadragon.Rect(0, 0, edge, rows) : null);
    mask?.setClip(swiped ? new OpenSeadragon.Rect(edge, 0, columns - edge, rows) : null);
    if (swiped) for (const [item, width] of [[label, edge], [mask, columns - edge]]) {
      item.setOpacity(width > 0 ? Number(opacity.value) / 100 : 0); // a clip of no width would clip nothing
    }
  }

  function moveDivider(to) {
    share = Math.min(1, Math.max(0, to));
    const percent = Math.round(100 * share);
    divider.style.left = `${100 * share}%`;
    divider.setAttribute("aria-valuenow", percent);
    divider.setAttribute("aria-valuetext", `label on the left ${percent} %`);
    if (shown) clip(shown);
  }

  // ---- pixels -----------------------------------------------------------------------------------------------------

  function rowsOf(scene, i) {
    const { content, quantities, decided, flags } = scene;
    const { columns, step, first, bits } = content;
    const decision = (known, cloud) => (decided[i] & known ? (decided[i] & cloud ? "cloud" : "clear") : NOTHING);
    const row = Math.floor(i / columns) * step + first, column = (i % columns) * step + first;
    const pairs = [["row, column", `${row}, ${column}`]];
    for (const quantity of quantities.values()) {
      const value = valueAt(quantity, i);
      pairs.push([`${quantity.label}${quantity.unit ? `, ${quantity.unit}` : ""}`,
        value === null ? NOTHING : value.toFixed(quantity.decimals).replace("-", "−")]);
    }
    pairs.push([`U-Net (> ${content.threshold})`, decision(MASK_KNOWN, MASK_CLOUD)]);
    pairs.push(["Bayes label", decision(LABEL_KNOWN, LABEL_CLOUD)]);
    const set = bits.filter(([bit]) => flags[i] & bit).map(([, name]) => name);
    pairs.push(["flags", set.join(", ") || "none set"]);
    return pairs;
  }

  function readOut(scene, x, y) {
    const { rows, columns } = scene.content;
    scene.x = Math.min(columns - 1, Math.max(0, Math.floor(x)));
    scene.y = Math.min(rows - 1, Math.max(0, Math.floor(y)));
    const pairs = rowsOf(scene, scene.y * columns + scene.x);
    if (list.childElementCount !== 2 * pairs.length) {
      list.replaceChildren(...pairs.flatMap(() => [document.createElement("dt"), document.createElement("dd")]));
      list.lastElementChild.className = "viewer-flags";
    }
    pairs.forEach(([name, text], at) => {
      list.children[2 * at].textContent = name;
      list.children[2 * at + 1].textContent = text;
    });
    placeCross(scene);
    return pairs;
  }

  function placeCross(scene) {
    const at = scene.viewer.viewport.imageToViewerElementCoordinates(new OpenSeadragon.Point(scene.x + 0.5, scene.y + 0.5));
    cross.hidden = false;
    cross.style.left = `${at.x}px`;
    cross.style.top = `${at.y}px`;
  }

  let speaking = 0;
  function say(pairs) { // what the keyboard has reached, once it rests
    clearTimeout(speaking);
    speaking = setTimeout(() => { status.textContent = pairs.map(([name, text]) => `${name}: ${text}`).join("; "); }, 400);
  }

  const imagePoint = (event, scene) => {
    const box = frame.getBoundingClientRect();
    const at = new OpenSeadragon.Point(event.clientX - box.left - frame.clientLeft, event.clientY - box.top - frame.clientTop);
    return scene.viewer.viewport.viewerElementToImageCoordinates(at);
  };
  const inside = (point, { content }) => point.x >= 0 && point.y >= 0 && point.x < content.columns && point.y < content.rows;

  function step(right, down) {
    const scene = shown;
    say(readOut(scene, scene.x + right, scene.y + down));
    const { viewport } = scene.viewer;
    const at = viewport.imageToViewportCoordinates(scene.x + 0.5, scene.y + 0.5);
    const seen = viewport.getBounds();
    if (!seen.containsPoint(at)) viewport.panTo(at);
  }

  // ---- zoom -------------------------------------------------------------------------------------------------------

  const zoom = {
    by(factor) { shown?.viewer.viewport.zoomBy(factor).applyConstraints(); },
    fit() { shown?.viewer.viewport.goHome(); },
    one() {
      const { viewport } = shown.viewer;
      viewport.zoomTo(viewport.imageToViewportZoom(1), viewport.imageToViewportCoordinates(shown.x + 0.5, shown.y + 0.5));
    },
  };

  function followView(scene) {
    const { viewport, drawer } = scene.viewer;
    const ratio = viewport.viewportToImageZoom(viewport.getZoom(true)) || 1;
    scale.textContent = ratio >= 1 ? `${ratio.toFixed(1)} × magnified` : `${Math.round(100 * ratio)} % of full size`;
    if (scene.smooth !== ratio < 1) { // pixels stay pixels when magnified
      scene.smooth = ratio < 1;
      drawer.setImageSmoothingEnabled(scene.smooth);
    }
    if (scene.x !== undefined) placeCross(scene);
    clip(scene);
  }

  // ---- the scene that is open -------------------------------------------------------------------------------------

  function openSeadragon() {
    const own = OpenSeadragon({
      element: stage, drawer: "canvas", tabIndex: -1, showNavigationControl: false, crossOriginPolicy: false,
      visibilityRatio: 0.6, minZoomImageRatio: 0.7, maxZoomPixelRatio: 40, animationTime: calm ? 0 : 0.35, springStiffness: 9,
      zoomPerClick: 1, gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true, pinchRotate: false },
      gestureSettingsPen: { clickToZoom: false }, silenceMultiImageWarnings: true, immediateRender: true,
    });
    // A click or tap makes OpenSeadragon focus its own element, which would scroll the page under the pointer.
    own.canvas.focus = () => stage.focus({ preventScroll: true });
    own.addHandler("canvas-key", (event) => { event.preventDefaultAction = true; }); // the keys are ours
    own.addHandler("canvas-scroll", (event) => {
      const { ctrlKey } = event.originalEvent;
      if (ctrlKey || frame.contains(document.activeElement)) return;
      event.preventDefaultAction = true; // the page scrolls
      event.preventDefault = false;
    });
    return own;
  }

  async function open(index) {
    const article = scenes[index];
    shown?.viewer.destroy();
    shown = null;
    cross.hidden = true;
    frame.setAttribute("aria-busy", "true");
    for (const [at, other] of scenes.entries()) other.classList.toggle("chosen", at === index);
    const content = JSON.parse(article.querySelector(".viewer-data").textContent);
    stage.setAttribute("aria-label", `Scene ${content.product}`);
    frame.style.aspectRatio = `${content.columns} / ${content.rows}`;
    const picture = article.querySelector(".panel img");
    const viewer = openSeadragon();
    const scene = { content, picture, viewer, layers: {} };
    shown = scene;
    await picture.decode();
    Object.assign(scene, await unpack(content));
    if (scene !== shown) return; // another one has been chosen meanwhile
    viewer.addHandler("update-viewport", () => { if (scene === shown) followView(scene); });
    scene.layers.base = addLayer("base", scene);
    await scene.layers.base;
    viewer.viewport.goHome(true);
    await showLayers();
    readOut(scene, content.columns / 2, content.rows / 2);
    frame.setAttribute("aria-busy", "false");
  }

  function failed(error) {
    root.hidden = true;
    document.documentElement.classList.remove("viewed");
    console.error(error);
  }
  const show = (index) => open(index).catch(failed);

  // ---- what a person does -----------------------------------------------------------------------------------------

  frame.addEventListener("pointermove", (event) => {
    if (!shown?.flags || event.pointerType === "touch" || divider.contains(event.target)) return;
    const point = imagePoint(event, shown);
    if (inside(point, shown)) readOut(shown, point.x, point.y);
  });
  frame.addEventListener("click", (event) => {
    if (!shown?.flags || divider.contains(event.target)) return;
    stage.focus({ preventScroll: true });
    const point = imagePoint(event, shown);
    if (inside(point, shown)) readOut(shown, point.x, point.y);
  });
  stage.addEventListener("keydown", (event) => {
    if (!shown?.flags || event.ctrlKey || event.altKey || event.metaKey) return;
    const far = event.shiftKey ? 10 : 1;
    const keys = {
      ArrowLeft: () => step(-far, 0), ArrowRight: () => step(far, 0), ArrowUp: () => step(0, -far), ArrowDown: () => step(0, far),
      "+": () => zoom.by(1.5), "=": () => zoom.by(1.5), "-": () => zoom.by(1 / 1.5), 0: zoom.fit, 1: zoom.one,
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  byId("in").addEventListener("click", () => zoom.by(1.5));
  byId("out").addEventListener("click", () => zoom.by(1 / 1.5));
  byId("fit").addEventListener("click", zoom.fit);
  byId("one").addEventListener("click", () => { if (shown?.flags) zoom.one(); });

  divider.addEventListener("pointerdown", (event) => { divider.setPointerCapture(event.pointerId); divider.focus(); event.preventDefault(); });
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    moveDivider((event.clientX - frame.getBoundingClientRect().left - frame.clientLeft) / frame.clientWidth);
  });
  divider.addEventListener("keydown", (event) => {
    const to = {
      ArrowLeft: share - 0.02, ArrowDown: share - 0.02, ArrowRight: share + 0.02, ArrowUp: share + 0.02,
      PageDown: share - 0.1, PageUp: share + 0.1, Home: 0, End: 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    moveDivider(to);
  });

  opacity.addEventListener("input", () => {
    byId("opacity-value").textContent = `${opacity.value} %`;
    showLayers();
  });
  for (const radio of root.querySelectorAll("[name=viewer-layer]")) radio.addEventListener("change", showLayers);

  root.hidden = false;
  document.documentElement.classList.add("viewed");
  const choice = byId("choice");
  const select = byId("scene");
  if (choice) {
    choice.hidden = scenes.length < 2;
    select.addEventListener("change", () => show(Number(select.value)));
  }
  show(select ? Number(select.value) : 0);
})();
