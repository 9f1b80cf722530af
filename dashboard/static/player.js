// The player: one frame at a time from the server, coarse while the handle moves, sharp when it rests.
"use strict";

const place = document.getElementById("player");
const video = JSON.parse(place.dataset.player);
const $ = (id) => document.getElementById(id);
const picture = $("picture");
const pen = picture.getContext("2d");
const ROUND_COLORS = ["#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442"];
const KEPT = 240; // decoded pictures
const SETTLE_MS = 120;
const AHEAD = 3;

let frame = 0;
let playing = null;
let running = null; // what is being fetched
let wish = null; // what is wanted next
let drawn = 0; // the timeline's turn to be drawn
let bars = null; // expected errors, one per pixel of the timeline
let ahead = null; // what is fetched because it may be wanted
let settle = null;
const kept = new Map(); // address -> ImageBitmap, the oldest first

const heat = $("heat");
if (!video.heat) { heat.disabled = true; heat.parentElement.title = "Only the newest masks keep their probabilities."; }
for (const mark of document.querySelectorAll(".legend i")) mark.style.background = mark.dataset.color;
for (const round of [...video.rounds].reverse()) {
  for (const select of [$("model"), $("before")]) select.add(new Option(`round ${round.number}`, round.model));
}
if (video.rounds.length > 1) $("before").selectedIndex = 1;
else $("compare").disabled = true;
for (const id of ["model", "mask", "heat", "compare", "opacity"]) $(id).closest("label").hidden = !video.rounds.length; // no masks yet
const newest = video.rounds.length ? video.rounds[video.rounds.length - 1].model : "";

function width(coarse) {
  const wanted = coarse ? 320 : Math.min(video.width, picture.clientWidth * (window.devicePixelRatio || 1));
  return video.widths.find((one) => one >= wanted) || video.widths[video.widths.length - 1];
}

function layers(index, coarse) {
  const at = (kind, model) => `${video.base}/${kind}/${model}/${index}/${width(coarse)}`;
  const wanted = { frame: at("frames", "-") };
  if ($("mask").checked && $("model").value) wanted.mask = at("masks", $("model").value);
  if ($("compare").checked && $("mask").checked) wanted.before = at("masks", $("before").value);
  if (heat.checked) wanted.heat = at("heat", newest);
  return wanted;
}

async function bitmap(address, signal) {
  const found = kept.get(address);
  if (found) { kept.delete(address); kept.set(address, found); return found; }
  const answer = await fetch(address, { signal });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  const made = await createImageBitmap(await answer.blob());
  kept.set(address, made);
  if (kept.size > KEPT) { const oldest = kept.keys().next().value; kept.get(oldest).close(); kept.delete(oldest); }
  return made;
}

async function load(index, coarse, signal) {
  const wanted = Object.entries(layers(index, coarse));
  const made = await Promise.all(wanted.map(([, address]) => bitmap(address, signal)));
  return Object.fromEntries(wanted.map(([name], n) => [name, made[n]]));
}

function paint(shown) {
  const w = Math.max(shown.frame.width, 1), h = Math.max(shown.frame.height, 1);
  if (picture.width !== w || picture.height !== h) { picture.width = w; picture.height = h; }
  pen.globalAlpha = 1;
  pen.drawImage(shown.frame, 0, 0, w, h);
  pen.imageSmoothingEnabled = false;
  pen.globalAlpha = $("opacity").value / 100;
  const split = Math.round((w * $("split").value) / 100);
  if (shown.mask) part(shown.mask, shown.before ? split : 0, w, h);
  if (shown.before) { part(shown.before, 0, split, h); }
  pen.globalAlpha = 0.85;
  pen.imageSmoothingEnabled = true;
  if (shown.heat) pen.drawImage(shown.heat, 0, 0, w, h);
  pen.globalAlpha = 1;
  if (shown.before) { pen.fillStyle = "#fff"; pen.fillRect(split - 1, 0, 2, h); }
}

function part(mask, from, to, h) {
  if (to <= from) return;
  pen.save(); pen.beginPath(); pen.rect(from, 0, to - from, h); pen.clip();
  pen.drawImage(mask, 0, 0, picture.width, h); pen.restore();
}

// One picture at a time: whatever is wanted meanwhile, only the newest wish is fetched next. A coarse wish does not wait
// for a sharp picture.
async function show(coarse) {
  wish = { index: frame, coarse };
  if (ahead) ahead.abort();
  if (running) {
    if (coarse && !running.coarse) running.stop.abort();
    return;
  }
  while (wish) {
    running = { ...wish, stop: new AbortController() };
    wish = null;
    try {
      paint(await load(running.index, running.coarse, running.stop.signal));
      place.dataset.shown = `${running.index}${running.coarse ? "~" : ""}`;
      $("told").textContent = "";
    } catch (error) {
      if (error.name !== "AbortError") $("told").textContent = `${error.message || error}`;
    }
  }
  const last = running;
  running = null;
  if (!last.coarse) lookAhead(last.index);
}

async function lookAhead(index) {
  const mine = (ahead = new AbortController());
  try {
    for (let n = 1; n <= AHEAD && index + n < video.frames; n++) await load(index + n, false, mine.signal);
  } catch {
    // not there, or not wanted any more: whoever goes there is told
  }
}

function go(to, moving) {
  frame = Math.max(0, Math.min(video.frames - 1, Math.round(to)));
  $("scrub").value = frame;
  const asked = video.asked.filter(([at]) => at === frame).map(([, round]) => round);
  const seconds = video.fps > 0 ? ` · ${(frame / video.fps).toFixed(2)} s` : "";
  $("where").textContent = `frame ${frame} of ${video.frames - 1}${seconds}${asked.length ? ` · asked in round ${asked.join(", ")}` : ""}`;
  // browsers slow down pages that change their address all the time
  if (!moving && !playing) history.replaceState(null, "", `#${frame}`);
  if (!drawn) drawn = requestAnimationFrame(() => { drawn = 0; timeline(); });
  clearTimeout(settle);
  show(moving);
  if (moving) settle = setTimeout(() => go(frame, false), SETTLE_MS);
}

function timeline() {
  const canvas = $("timeline"), line = canvas.getContext("2d");
  const scale = window.devicePixelRatio || 1, w = canvas.clientWidth, h = 46;
  canvas.width = w * scale; canvas.height = h * scale; line.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const x = (index) => (video.frames > 1 ? (index / (video.frames - 1)) * (w - 2) : 0);
  line.fillStyle = style.getPropertyValue("--line"); line.fillRect(0, 30, w, 1);
  if (video.errors) {
    line.fillStyle = "#d55e00";
    if (!bars || bars.length !== Math.ceil(w)) {
      const most = video.errors.reduce((a, b) => Math.max(a, b), 1e-9);
      bars = new Float32Array(Math.ceil(w));
      // many frames share a pixel: the worst of them is drawn
      video.errors.forEach((error, n) => { const at = Math.floor(x(n)); bars[at] = Math.max(bars[at], error / most); });
    }
    const wide = Math.ceil(Math.max(1, w / video.frames)) + 1;
    bars.forEach((value, n) => { if (value > 0) line.fillRect(n, 30 - 28 * value, wide, 28 * value); });
  }
  for (const [index, round] of video.asked) {
    line.fillStyle = ROUND_COLORS[(round - 1) % ROUND_COLORS.length];
    line.fillRect(x(index), 32, 3, 12);
  }
  line.fillStyle = style.getPropertyValue("--text"); line.fillRect(x(frame), 0, 2, h);
}

function stop() { if (playing) { clearTimeout(playing); playing = null; $("play").textContent = "Play"; } }

async function tick(began, from) {
  const index = from + Math.floor(((performance.now() - began) / 1000) * Math.max(1, video.fps));
  if (index >= video.frames - 1) { go(video.frames - 1, false); stop(); return; }
  if (index !== frame) {
    go(index, false);
  }
  if (playing) playing = setTimeout(() => tick(began, from), 15);
}

function play() {
  if (playing) { stop(); go(frame, false); return; }
  if (frame >= video.frames - 1) frame = 0;
  $("play").textContent = "Pause";
  playing = setTimeout(() => tick(performance.now(), frame), 0);
}

function jump(direction) {
  const frames = video.asked.map(([at]) => at).sort((a, b) => a - b);
  const next = direction > 0 ? frames.find((at) => at > frame) : frames.reverse().find((at) => at < frame);
  if (next !== undefined) go(next, false);
}

function toggle(id) { const box = $(id); if (!box.disabled) { box.checked = !box.checked; box.dispatchEvent(new Event("change")); } }

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const step = event.shiftKey ? 10 : 1;
  const acts = {
    ArrowLeft: () => go(frame - step, true), ArrowRight: () => go(frame + step, true), Home: () => go(0, false),
    End: () => go(video.frames - 1, false), " ": play, n: () => jump(1), p: () => jump(-1), m: () => toggle("mask"),
    u: () => toggle("heat"), b: () => toggle("compare"),
  };
  const act = acts[event.key];
  if (!act) return;
  event.preventDefault();
  if (event.key !== " ") stop();
  act();
});

$("scrub").addEventListener("input", () => { stop(); go(+$("scrub").value, true); });
$("play").addEventListener("click", play);
for (const id of ["model", "mask", "heat", "before", "opacity", "split"]) $(id).addEventListener(id === "opacity" || id === "split" ? "input" : "change", () => show(false));
$("compare").addEventListener("change", () => {
  for (const id of ["before-label", "split-label"]) $(id).hidden = !$("compare").checked;
  show(false);
});
let held = false;
const seek = (event) => { const box = $("timeline").getBoundingClientRect(); stop(); go(((event.clientX - box.left) / box.width) * (video.frames - 1), true); };
$("timeline").addEventListener("pointerdown", (event) => { held = true; $("timeline").setPointerCapture(event.pointerId); seek(event); });
$("timeline").addEventListener("pointermove", (event) => { if (held) seek(event); });
$("timeline").addEventListener("pointerup", () => { held = false; });
window.addEventListener("resize", timeline);
window.addEventListener("hashchange", () => go(+location.hash.slice(1) || 0, false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", timeline);
go(+location.hash.slice(1) || 0, false);
