// Loads the page anew while a training is followed; not while it is hidden, or the reader has paused it.
(() => {
  "use strict";
  const seconds = Number(document.getElementById("live")?.dataset.seconds ?? 0);
  const button = document.getElementById("live-pause");
  if (!seconds || !button) return;
  const paused = () => button.getAttribute("aria-pressed") === "true";
  button.hidden = false;
  button.addEventListener("click", () => button.setAttribute("aria-pressed", String(!paused())));
  setInterval(() => { if (!paused() && document.visibilityState === "visible") location.reload(); }, 1000 * seconds);
})();
