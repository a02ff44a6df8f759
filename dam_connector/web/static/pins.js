// Comments that are pinned to a place in a picture or on a model: their marks, and the placing of a new one.
import { stopTurning } from "./viewers.js";

const MIN_SIDE = 0.02;  // of a rectangle, as a share of the picture; a smaller one is a point
const round = (value, digits = 4) => Number(value.toFixed(digits));
const clamp = (value) => Math.min(1, Math.max(0, value));
const degrees = (radians) => round((radians * 180) / Math.PI, 2);

export function showPins(page) {
  const frame = page.querySelector("[data-pins]");
  const comments = page.querySelector("[data-comments]");
  if (!frame || !comments) return;
  const viewer = frame.querySelector("model-viewer");
  const marks = [...comments.querySelectorAll("[data-anchor]")]
    .filter((comment) => Number(comment.dataset.pin))
    .map((comment) => addMark(frame, viewer, comment));
  const place = () => marks.forEach((mark) => mark.place?.());
  if (!viewer) watchPicture(frame, place);
  placeNewPins(page, frame, viewer);
}

// The rectangle that the picture fills in its frame, in CSS pixels of the frame.
function pictureBox(frame) {
  const image = [...frame.querySelectorAll("img:not([data-render])")].find((each) => !each.hidden);
  const box = image?.getBoundingClientRect();
  if (!image?.naturalWidth || !box.width) return null;
  const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
  const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
  const outer = frame.getBoundingClientRect();
  return {
    left: box.left - outer.left + (box.width - width) / 2, top: box.top - outer.top + (box.height - height) / 2, width, height,
  };
}

const shownFrame = (frame) => Number(frame.querySelector("[data-spin] input")?.value ?? 0);

function watchPicture(frame, place) {
  new ResizeObserver(place).observe(frame);
  frame.addEventListener("frame", place);
  for (const image of frame.querySelectorAll("img")) image.addEventListener("load", place);
  place();
}

// Add the mark of a comment, and connect it with the comment in the list.
function addMark(frame, viewer, comment) {
  const anchor = JSON.parse(comment.dataset.anchor);
  const mark = document.createElement("button");
  mark.type = "button";
  mark.className = "pin";
  mark.textContent = comment.dataset.pin;
  mark.title = comment.querySelector(".said").textContent;
  mark.setAttribute("aria-label", `Comment ${comment.dataset.pin}: ${mark.title}`);
  mark.addEventListener("click", (event) => {
    event.stopPropagation();
    comment.scrollIntoView({ block: "nearest" });
    comment.focus();
  });
  const isOnModel = Boolean(anchor.point);
  comment.querySelector("[data-show-pin]")?.addEventListener("click", () => {
    frame.scrollIntoView({ block: "nearest" });
    if (isOnModel && viewer) look(frame, viewer, anchor);
    else showFrame(frame, anchor.frame);
    for (const each of frame.querySelectorAll(".pin")) each.classList.toggle("chosen", each === mark);
  });
  if (isOnModel) {
    if (!viewer) return {};
    mark.slot = `hotspot-${comment.id}`;
    mark.dataset.position = anchor.point.join(" ");
    mark.dataset.normal = anchor.normal.join(" ");
    mark.dataset.visibilityAttribute = "visible";
    viewer.append(mark);
    return {};
  }
  frame.append(mark);
  return { place: () => placeMark(frame, mark, anchor) };
}

function placeMark(frame, mark, anchor) {
  const box = pictureBox(frame);
  mark.hidden = !box || (frame.querySelector("[data-spin]") && anchor.frame !== shownFrame(frame));
  if (mark.hidden) return;
  mark.style.left = `${box.left + anchor.x * box.width}px`;
  mark.style.top = `${box.top + anchor.y * box.height}px`;
  mark.classList.toggle("area", anchor.width > 0);
  mark.style.width = anchor.width ? `${anchor.width * box.width}px` : "";
  mark.style.height = anchor.width ? `${anchor.height * box.height}px` : "";
}

function showFrame(frame, number) {
  const slider = frame.querySelector("[data-spin] input");
  if (!slider) return;
  slider.value = number;
  slider.dispatchEvent(new Event("input"));
}

// Show the model through the camera of a pin.
function look(frame, viewer, anchor) {
  frame.closest(".pane").querySelector("[data-show-model]")?.click();
  stopTurning(viewer);
  const [theta, phi, radius] = anchor.orbit;
  viewer.cameraTarget = anchor.target.map((each) => `${each}m`).join(" ");
  viewer.fieldOfView = `${anchor.fov_deg}deg`;
  viewer.cameraOrbit = `${theta}deg ${phi}deg ${radius}m`;
}

// While the form is marked as placing, a click or a drawn rectangle sets the place of the next comment.
function placeNewPins(page, frame, viewer) {
  const form = page.querySelector("[data-pin-form]");
  if (!form) return;
  const [field, button, text] = ["[name=anchor]", "[data-place-pin]", "[data-pin-text]"]
    .map((each) => form.querySelector(each));
  const isPlacing = () => form.hasAttribute("data-placing");
  button.hidden = false;
  button.addEventListener("click", () => {
    form.toggleAttribute("data-placing");
    text.textContent = isPlacing() ? placingText(viewer) : "";
    if (viewer) {
      frame.closest(".pane").querySelector("[data-show-model]")?.click();
      stopTurning(viewer);
    }
    form.querySelector("textarea").focus();
    if (isPlacing()) frame.scrollIntoView({ block: "nearest" });
  });
  const done = (anchor, said) => {
    field.value = JSON.stringify(anchor);
    form.removeAttribute("data-placing");
    text.textContent = said;
    form.querySelector("textarea").focus();
  };
  if (viewer) placeOnModel(viewer, isPlacing, done);
  else placeInPicture(frame, isPlacing, done);
}

const placingText = (viewer) => (viewer
  ? "Click the place on the model; drag turns it. Esc ends it."
  : "Click the place, or draw a rectangle. Esc ends it.");

function placeOnModel(viewer, isPlacing, done) {
  let start = null;
  viewer.addEventListener("pointerdown", (event) => { start = isPlacing() ? event : null; }, true);
  viewer.addEventListener("pointerup", (event) => {
    if (!start || Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > 5) return;
    const hit = viewer.positionAndNormalFromPoint(event.clientX, event.clientY);
    if (!hit) return;
    const vector = ({ x, y, z }) => [x, y, z].map((each) => round(each));
    const orbit = viewer.getCameraOrbit();
    done({
      point: vector(hit.position),
      normal: vector(hit.normal),
      orbit: [degrees(orbit.theta), degrees(orbit.phi), round(orbit.radius)],
      target: vector(viewer.getCameraTarget()),
      fov_deg: round(viewer.getFieldOfView(), 2),
    }, "Pinned to the model, with this view.");
  }, true);
}

function placeInPicture(frame, isPlacing, done) {
  let start = null;
  const drawn = document.createElement("div");
  drawn.className = "pin area drawn";
  drawn.hidden = true;
  frame.append(drawn);
  const share = (event) => {
    const box = pictureBox(frame);
    const outer = frame.getBoundingClientRect();
    return box && {
      x: clamp((event.clientX - outer.left - box.left) / box.width),
      y: clamp((event.clientY - outer.top - box.top) / box.height),
    };
  };
  const anchorTo = (end) => {
    const anchor = {
      x: round(Math.min(start.x, end.x)), y: round(Math.min(start.y, end.y)), frame: shownFrame(frame),
      width: round(Math.abs(end.x - start.x)), height: round(Math.abs(end.y - start.y)),
    };
    if (anchor.width > MIN_SIDE && anchor.height > MIN_SIDE) return anchor;
    return { x: round(end.x), y: round(end.y), width: 0, height: 0, frame: anchor.frame };
  };
  frame.addEventListener("pointerdown", (event) => {
    start = isPlacing() && event.button === 0 ? share(event) : null;
    if (!start) return;
    event.preventDefault();
    event.stopPropagation();
    frame.setPointerCapture(event.pointerId);
  }, true);
  frame.addEventListener("pointermove", (event) => {
    if (!start) return;
    const end = share(event);
    drawn.hidden = false;
    placeMark(frame, drawn, anchorTo(end));
  }, true);
  frame.addEventListener("pointerup", (event) => {
    if (!start) return;
    const anchor = anchorTo(share(event));
    start = null;
    drawn.hidden = false;
    placeMark(frame, drawn, anchor);
    done(anchor, anchor.width ? "Pinned to this rectangle." : "Pinned to this place.");
  }, true);
}
