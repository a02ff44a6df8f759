// Comments that are pinned to a place in a picture or on a model: their marks, and the placing of a new one.
import { stopTurning } from "./viewers.js";

const MIN_SIDE = 0.02;  // of a rectangle, as a share of the picture; a smaller one is a point
const STEP = 0.02;  // of an arrow key, as a share of the picture
const FINE_STEP = 0.002;  // with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
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
  if (!frame.querySelector(".still")) placeNewPins(page, frame, viewer);  // a model that cannot be drawn has no places
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
    if (!isPlacing()) {
      form.querySelector("textarea").focus();
      return;
    }
    frame.scrollIntoView({ block: "nearest" });
    begin();
  });
  const done = (anchor, said) => {
    field.value = JSON.stringify(anchor);
    form.removeAttribute("data-placing");
    text.textContent = said;
    form.querySelector("textarea").focus();
  };
  const say = (words) => { text.textContent = words; };
  const begin = viewer
    ? placeOnModel(frame, viewer, isPlacing, done, say) : placeInPicture(frame, isPlacing, done, say);
}

const placingText = (viewer) => {
  const text = viewer ? "Choose the place on the model; drag turns it." : "Choose the place, or draw a rectangle.";
  if (!matchMedia("(hover: hover)").matches) return text;  // no keyboard
  return `${text} By keys: arrows, ${viewer ? "" : "Space for the corner of a rectangle, "}then Enter. Esc ends it.`;
};

// Add a cross that the arrow keys move over a box, and return the function that shows it and gives it the focus.
// `moved`, `set` and `corner` (Space) get its place in shares of the box.
function addCross(frame, boxOf, { moved, set, corner }) {
  const cross = document.createElement("button");
  cross.type = "button";
  cross.className = "cross";
  cross.setAttribute("aria-label", "Place of the comment. Arrow keys move it, Shift in small steps; Enter sets it.");
  frame.append(cross);
  let at = { x: 0.5, y: 0.5 };
  const draw = () => {
    const box = boxOf();
    if (!box) return;
    cross.style.left = `${box.left + at.x * box.width}px`;
    cross.style.top = `${box.top + at.y * box.height}px`;
  };
  const move = ([dx, dy], step) => {
    at = { x: clamp(at.x + dx * step), y: clamp(at.y + dy * step) };
    draw();
    moved(at);
  };
  cross.addEventListener("keydown", (event) => {
    if (ARROWS[event.key]) move(ARROWS[event.key], event.shiftKey ? FINE_STEP : STEP);
    else if (event.key === "Enter" && !event.ctrlKey) set(at);
    else if (event.key === " ") corner(at);
    else return;
    event.preventDefault();
    event.stopPropagation();  // the arrows of the page go to the next version
  });
  cross.addEventListener("keyup", (event) => { if (event.key === " ") event.preventDefault(); });
  return () => {
    at = { x: 0.5, y: 0.5 };
    draw();
    cross.focus({ preventScroll: true });
  };
}

const placeText = ({ x, y }) => `${Math.round(x * 100)} % from the left, ${Math.round(y * 100)} % from the top`;

function placeOnModel(frame, viewer, isPlacing, done, say) {
  let start = null;
  viewer.addEventListener("pointerdown", (event) => { start = isPlacing() ? event : null; }, true);
  viewer.addEventListener("pointerup", (event) => {
    if (!start || Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > 5) return;
    pinAt(event.clientX, event.clientY);
  }, true);
  const pinAt = (x, y) => {
    const hit = viewer.positionAndNormalFromPoint(x, y);
    if (!hit) {
      say("The model is not there. Choose a place on it.");
      return;
    }
    const vector = ({ x, y, z }) => [x, y, z].map((each) => round(each));
    const orbit = viewer.getCameraOrbit();
    done({
      point: vector(hit.position),
      normal: vector(hit.normal),
      orbit: [degrees(orbit.theta), degrees(orbit.phi), round(orbit.radius)],
      target: vector(viewer.getCameraTarget()),
      fov_deg: round(viewer.getFieldOfView(), 2),
    }, "Pinned to the model, with this view.");
  };
  const boxOf = () => ({ left: 0, top: 0, width: frame.clientWidth, height: frame.clientHeight });
  return addCross(frame, boxOf, {
    moved: (at) => say(placeText(at)),
    corner: () => {},
    set: (at) => {
      const box = viewer.getBoundingClientRect();
      pinAt(box.left + at.x * box.width, box.top + at.y * box.height);
    },
  });
}

function placeInPicture(frame, isPlacing, done, say) {
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
  const show = (anchor) => {
    drawn.hidden = false;
    placeMark(frame, drawn, anchor);
  };
  const finish = (end) => {
    const anchor = anchorTo(end);
    start = null;
    show(anchor);
    done(anchor, anchor.width ? "Pinned to this rectangle." : "Pinned to this place.");
  };
  frame.addEventListener("pointerdown", (event) => {
    start = isPlacing() && event.button === 0 ? share(event) : null;
    if (!start) return;
    event.preventDefault();
    event.stopPropagation();
    frame.setPointerCapture(event.pointerId);
  }, true);
  frame.addEventListener("pointermove", (event) => {
    if (start) show(anchorTo(share(event)));
  }, true);
  frame.addEventListener("pointerup", (event) => {
    if (start) finish(share(event));
  }, true);
  const begin = addCross(frame, () => pictureBox(frame), {
    moved: (at) => {
      say(placeText(at));
      if (start) show(anchorTo(at));
    },
    corner: (at) => { start = at; },
    set: (at) => {
      start ??= at;
      finish(at);
    },
  });
  return () => {
    start = null;
    drawn.hidden = true;
    begin();
  };
}
