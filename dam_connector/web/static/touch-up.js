// The mask of the cut-out over the photo, and the strokes that correct it. The worker repeats the strokes at the
// same size (worker/imaging/touch_up.py) and finds the edges anew at the photo's own.
import { makeZoomable } from "./mask-zoom.js";

const CORE_SHARE = 0.2;  // of the brush's radius: pixels so near to the stroke's line always change
const BIN_SHIFT = 3;  // colours are alike whose channels, divided by 8, differ by at most 1
const BINS = (256 >> BIN_SHIFT) + 2;
const MAX_POINTS = 400;
const MAX_STROKES = 200;
const DROPPED = [214, 0, 128];  // laid over what is not product
const DROPPED_SHARE = 0.55;
const CHANGED_LEVELS = 25;  // of 255: a smaller difference of the mask is no change
const share = (value) => Number(Math.min(1, Math.max(0, value)).toFixed(4));

export function showMask(page) {
  const canvas = page.querySelector("[data-mask]");
  if (!canvas) return;
  const button = page.querySelector("[data-show-mask]");
  const form = page.querySelector("[data-touch-up]");
  const frame = canvas.parentElement;
  let opening = null;
  const waiting = form ? draftOf(canvas).read().length : 0;
  const note = document.createElement("span");
  note.textContent = waiting ? ` · ${waiting} not sent` : "";
  button.append(note);
  button.hidden = false;
  button.addEventListener("click", async () => {
    const isShown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isShown));
    frame.classList.toggle("masked", isShown);
    canvas.hidden = !isShown;
    if (form) form.hidden = !isShown;
    if (!isShown) return;
    opening ??= open(canvas, form);
    note.remove();
    await opening;
    frame.style.setProperty("--shape", canvas.width / canvas.height);
    canvas.focus();
  });
  for (const other of page.querySelectorAll("[data-show-photo]")) {
    other.addEventListener("click", () => { if (!canvas.hidden) button.click(); });
  }
}

async function open(canvas, form) {
  const [rgba, mask] = await Promise.all([pixels(canvas.dataset.photo), pixels(canvas.dataset.mask)]);
  Object.assign(canvas, { width: rgba.width, height: rgba.height });
  const picture = {
    width: rgba.width, height: rgba.height, rgba: rgba.data,
    original: Uint8ClampedArray.from({ length: rgba.width * rgba.height }, (_, i) => mask.data[i * 4]),
  };
  picture.mask = picture.original.slice();
  const painting = { strokes: [], current: null, cursor: null };
  const draw = () => drawMask(canvas, picture, painting);
  draw();
  if (form) paint(canvas, form, picture, painting, draw);
}

async function pixels(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

function drawMask(canvas, { width, height, rgba, mask }, { cursor, radius, zoom = 1 }) {
  const out = new ImageData(width, height);
  for (let i = 0; i < mask.length; i += 1) {
    const dropped = DROPPED_SHARE * (1 - mask[i] / 255);
    for (let c = 0; c < 3; c += 1) out.data[i * 4 + c] = rgba[i * 4 + c] * (1 - dropped) + DROPPED[c] * dropped;
    out.data[i * 4 + 3] = 255;
  }
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.putImageData(out, 0, 0);
  if (!cursor) return;
  for (const [colour, line] of [["#000", 3], ["#fff", 1]]) {
    context.strokeStyle = colour;
    context.lineWidth = line / zoom;
    context.beginPath();
    context.arc(cursor[0] * width, cursor[1] * height, radius * Math.max(width, height), 0, 7);
    context.stroke();
  }
}

// Change the mask by a stroke: see `apply_stroke` in worker/imaging/touch_up.py.
function applyStroke({ width, height, rgba }, mask, stroke) {
  const radius = Math.max(1, stroke.radius * Math.max(width, height));
  const points = stroke.points.map(([x, y]) => [
    Math.min(Math.floor(x * width), width - 1), Math.min(Math.floor(y * height), height - 1),
  ]);
  const brush = new Uint8Array(width * height);  // 1 under the brush, 2 near its line
  points.forEach((end, i) => markSegment(brush, width, height, points[Math.max(0, i - 1)], end, radius));
  const value = stroke.keep ? 255 : 0;
  const isLike = stroke.stops_at_edges ? coloursLike(rgba, brush) : () => true;
  const waiting = [];
  brush.forEach((part, i) => { if (part === 2) waiting.push(i); });
  while (waiting.length) {  // what is connected to the line
    const i = waiting.pop();
    mask[i] = value;
    brush[i] = 0;
    const x = i % width;
    const near = [x > 0 && i - 1, x < width - 1 && i + 1, i >= width && i - width, i + width < brush.length && i + width];
    for (const j of near) {
      if (j !== false && brush[j] === 1 && isLike(j)) {
        brush[j] = 0;
        waiting.push(j);
      }
    }
  }
}

// The share of the product that strokes have changed.
function changedShare({ original, mask }) {
  let [changed, product] = [0, 0];
  mask.forEach((value, i) => {
    changed += Math.abs(value - original[i]) > CHANGED_LEVELS;
    product += original[i] > 127;
  });
  return changed / Math.max(1, product);
}

// Strokes that were not sent outlast a reload and the way to another page and back.
function draftOf(canvas) {
  const key = `strokes ${canvas.dataset.mask}`;
  return {
    read() {
      try {
        return JSON.parse(sessionStorage.getItem(key) ?? "[]");
      } catch { return []; }
    },
    write(strokes) {
      try {
        if (strokes.length) sessionStorage.setItem(key, JSON.stringify(strokes));
        else sessionStorage.removeItem(key);
      } catch { /* storage is off or full: the question at leaving remains */ }
    },
  };
}

function markSegment(brush, width, height, [ax, ay], [bx, by], radius) {
  const [dx, dy] = [bx - ax, by - ay];
  const squared = dx * dx + dy * dy || 1;
  const reach = Math.ceil(radius);
  for (let y = Math.max(0, Math.min(ay, by) - reach); y <= Math.min(height - 1, Math.max(ay, by) + reach); y += 1) {
    for (let x = Math.max(0, Math.min(ax, bx) - reach); x <= Math.min(width - 1, Math.max(ax, bx) + reach); x += 1) {
      const t = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / squared));
      const distance = Math.hypot(x - ax - t * dx, y - ay - t * dy);
      const part = distance <= radius * CORE_SHARE ? 2 : Number(distance <= radius);
      brush[y * width + x] = Math.max(brush[y * width + x], part);
    }
  }
}

function coloursLike(rgba, brush) {
  const bin = (i) => (rgba[i] >> BIN_SHIFT) + 1;
  const key = (i) => (bin(i * 4) * BINS + bin(i * 4 + 1)) * BINS + bin(i * 4 + 2);
  const known = new Uint8Array(BINS ** 3);
  const seen = new Set();
  brush.forEach((part, i) => { if (part === 2) seen.add(key(i)); });
  const steps = [-1, 0, 1];
  const offsets = steps.flatMap((r) => steps.flatMap((g) => steps.map((b) => (r * BINS + g) * BINS + b)));
  for (const each of seen) for (const offset of offsets) known[each + offset] = 1;
  return (i) => known[key(i)] === 1;
}

// Let pointer, touch and keyboard paint strokes, and the form send them.
function paint(canvas, form, picture, painting, draw) {
  const find = (name) => form.querySelector(`[data-${name}]`);
  const [radius, stops, undo, send, text] = ["radius", "stops", "undo-stroke", "send", "touch-up-text"].map(find);
  const kinds = [...form.querySelectorAll("[data-stroke]")];
  const keeps = () => kinds[0].getAttribute("aria-pressed") === "true";
  const choose = (chosen) => kinds.forEach((each) => each.setAttribute("aria-pressed", String(each === chosen)));
  for (const each of kinds) each.addEventListener("click", () => choose(each));
  let finished = picture.original.slice();  // the mask after all strokes but the current one
  let isSent = false;
  const draft = draftOf(canvas);
  const brush = () => radius.value / 100 / zoom.zoom;  // it keeps its size on the screen
  const render = () => {
    Object.assign(painting, { radius: brush(), zoom: zoom.zoom });
    picture.mask = finished.slice();
    if (painting.current) applyStroke(picture, picture.mask, painting.current);
    draw();
    const count = painting.strokes.length;
    form.elements.strokes.value = JSON.stringify(painting.strokes);
    undo.disabled = send.disabled = count === 0;
    text.textContent = painting.current ? "painting" : count ? `${count} stroke${count > 1 ? "s" : ""}${hint()}` : "";
    canvas.dataset.strokes = count;
  };
  const hint = () => {
    const { leastShare, isDoubted } = form.dataset;
    if (isDoubted === undefined || form.elements.mask_seen.checked) return "";
    const isSmall = changedShare(picture) < Number(leastShare);
    return isSmall ? ": hardly a change, so the doubt about the cut-out stays" : "";
  };
  const begin = (point) => {
    if (painting.strokes.length >= MAX_STROKES) return;
    painting.current = { keep: keeps(), radius: brush(), stops_at_edges: stops.checked, points: [point] };
  };
  const move = (point) => {
    painting.cursor = point;
    const points = painting.current?.points;
    if (!points) return;
    const [x, y] = points.at(-1);
    const isFar = Math.hypot(point[0] - x, point[1] - y) > painting.current.radius / 4;
    if (isFar && points.length < MAX_POINTS) points.push(point);
  };
  const end = () => {
    if (!painting.current) return;
    painting.strokes.push(painting.current);
    applyStroke(picture, finished, painting.current);
    painting.current = null;
    draft.write(painting.strokes);
  };
  const takeBack = () => {
    painting.current = null;
    painting.strokes.pop();
    repeat();
  };
  const repeat = () => {
    finished = picture.original.slice();
    for (const each of painting.strokes) applyStroke(picture, finished, each);
    draft.write(painting.strokes);
    render();
  };
  let isPlanned = false;  // one drawing for each frame of the screen, however often the pointer moves
  const later = () => {
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(() => { isPlanned = false; render(); });
  };
  // The picture lies in the middle of the canvas, which has the shape of its frame.
  const inFrame = ([x, y]) => {
    const scale = Math.min(canvas.clientWidth / canvas.width, canvas.clientHeight / canvas.height);
    const across = (side, at, full) => ((full - side * scale) / 2 + at * side * scale) / full;
    return [across(canvas.width, x, canvas.clientWidth), across(canvas.height, y, canvas.clientHeight)];
  };
  const zoom = makeZoomable(canvas, form, () => later());
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
    const [width, height] = [canvas.width * scale, canvas.height * scale];
    return [
      share((event.clientX - box.left - (box.width - width) / 2) / width),
      share((event.clientY - box.top - (box.height - height) / 2) / height),
    ];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    if (zoom.down(event)) {
      painting.current = null;  // the first of two fingers paints nothing
      later();
      return;
    }
    painting.cursor = place(event);
    begin(painting.cursor);
    later();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!zoom.move(event)) move(place(event));
    later();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      if (!zoom.up(event)) end();
      later();
    });
  }
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Tab" || event.altKey) return;
    event.stopPropagation();  // no other key acts while somebody paints
    if (event.key === "Escape") { end(); canvas.blur(); later(); return; }
    const step = event.shiftKey ? 0.002 : brush() / 2;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    const [x, y] = painting.cursor ?? [0.5, 0.5];
    if (arrows[event.key]) {
      const [dx, dy] = arrows[event.key];
      move([share(x + dx * step), share(y + dy * step)]);
      zoom.show(inFrame(painting.cursor));
    } else if (event.key === " ") {
      painting.cursor = [x, y];
      if (painting.current) end();
      else begin(painting.cursor);
    } else if (isUndo) takeBack();
    else if (event.key === "+") radius.stepUp();
    else if (event.key === "-") radius.stepDown();
    else if (event.key.toLowerCase() === "x") choose(kinds[keeps() ? 1 : 0]);
    else return;
    event.preventDefault();
    later();
  });
  undo.addEventListener("click", takeBack);
  radius.addEventListener("input", later);
  form.querySelector("[data-discard]")?.addEventListener("click", () => { form.elements.strokes.value = "[]"; });
  form.elements.mask_seen.addEventListener("change", later);
  form.addEventListener("submit", () => {
    end();
    draft.write([]);
    isSent = true;
  });
  addEventListener("beforeunload", (event) => {
    if (painting.strokes.length && !isSent) event.preventDefault();  // the browser asks
  });
  painting.strokes = draft.read();
  repeat();
}
