// The page that guides a walk around a product, or a spin. Photos are sent one by one as soon as they are taken; one
// counts when the server has answered.
import { judge, smallCopy } from "./capture-judge.js";
import { canBeLive, openCamera } from "./capture-live.js";
import { sendWaiting } from "./capture-send.js";
import { openStore } from "./capture-store.js";

const PICTURES = ["image/jpeg", "image/png", "image/webp"];
const page = document.querySelector("[data-capture]");
const find = (name) => page.querySelector(`[data-${name}]`);
const { address, kind, csrf } = page.dataset;
const [round, places, maxBytes, least] = ["round", "places", "maxBytes", "least"].map((name) => Number(page.dataset[name]));

const capture = {
  page, address, kind, csrf, round, places,
  state: JSON.parse(page.dataset.firstState),
  waiting: [],  // photos that the server does not have yet: { key, place, replaces, ... }
  urls: new Map(),  // addresses of small copies, by the key of a photo
  doubts: new Map(),  // a word about a photo, by its place
  store: null,
  before: null,  // the signature of the photo that was taken last
  again: null,  // the place that is taken again
  nextPlace, isFree, add, show, setState, say,
};

const photoAt = (place) => capture.state.photos.find((photo) => photo.place === place);
const waitingAt = (place) => capture.waiting.find((entry) => entry.place === place);

function isFree(place) { return place < capture.places && !photoAt(place) && !waitingAt(place); }

function nextPlace() {
  for (let place = 0; place < capture.places; place += 1) if (isFree(place)) return place;
  return null;
}

function setState(state) {
  capture.state = state;
  show();
}

function say(text, place = null) {
  find("advice").hidden = !text;
  find("advice-text").textContent = text;
  find("advice-again").hidden = place === null;
  find("advice-again").dataset.at = place ?? "";
  find("advice-keep").textContent = place === null ? "OK" : "Keep";
}

let looking = Promise.resolve();

// Take in a photo: it is shown and sent at once, and judged meanwhile.
async function add(file, place = capture.again ?? nextPlace()) {
  capture.again = null;
  const problem = unusable(file) || (place === null ? "All places are taken. Remove a photo first." : "");
  if (problem) return say(problem);
  const entry = { place, replaces: photoAt(place)?.sha256 ?? "", at: Date.now() };
  const earlier = waitingAt(place);
  capture.doubts.delete(place);
  capture.waiting.push(entry);
  show();
  if (earlier) await drop(earlier);
  entry.key = await keep(file, entry);
  sendWaiting(capture);
  looking = looking.then(() => look(file, entry));  // in their order: the last word is about the last photo
  await looking;
  return undefined;
}

// Words in names of files beside frames: masks, depths, thumbnails.
const NO_FRAME = new RegExp(`(^|[^a-z])(${page.dataset.maskWords})([^a-z]|$)`, "i");

function unusable(file) {
  if (NO_FRAME.test((file.name ?? "").replace(/\.[a-z]+$/i, ""))) return "Its name says that it is a mask, a depth or a thumbnail.";
  if (/hei[cf]/i.test(file.type) || /\.hei[cf]$/i.test(file.name ?? "")) {
    return "This is a HEIC photo, which cannot be read here. On an iPhone: Settings, Camera, Formats, Most Compatible.";
  }
  if (!PICTURES.includes(file.type)) return "This is no JPEG, PNG or WebP photo.";
  if (file.size > maxBytes) return `This photo has more than ${Math.round(maxBytes / 1e6)} MB. Take it smaller.`;
  return "";
}

async function keep(file, entry) {
  const key = `${String(entry.at).padStart(15, "0")}-${String(entry.place).padStart(2, "0")}-${Math.random()}`;
  try {
    return await capture.store.add(key, { ...entry, file });
  } catch {  // the disk is full: it waits in memory
    entry.file = file;
    return key;
  }
}

async function look(file, entry) {
  try {
    const { pixels, preview } = await smallCopy(file);
    const url = URL.createObjectURL(preview);
    capture.urls.set(entry.key, url);
    entry.preview = preview;
    const { word, advice, signature } = judge(pixels, capture.before, kind === "spin");
    capture.before = signature;
    if (word) capture.doubts.set(entry.place, word);
    say(advice && `Photo ${entry.place + 1} ${advice}`, entry.place);
    if (entry.sha256) capture.urls.set(entry.sha256, url);  // it was sent meanwhile
    if (entry.sha256) await capture.store.setPreview(entry.sha256, preview).catch(() => {});
  } catch {
    say(`Photo ${entry.place + 1} cannot be shown here.`, entry.place);
  }
  show();
}

async function drop(entry) {
  capture.waiting = capture.waiting.filter((each) => each !== entry);
  if (entry.key) await capture.store.remove(entry.key);
}

// Show the ring, the sentence, the photos and what is missing.
function show() {
  const { state, waiting } = capture;
  const next = capture.again ?? nextPlace();
  const segments = [...page.querySelectorAll("[data-place]")];
  for (const segment of segments) {
    const place = Number(segment.dataset.place);
    segment.setAttribute("class", [
      photoAt(place) ? "there" : "", waitingAt(place) ? "waits" : "", place === next ? "next" : "",
    ].join(" ").trim());
  }
  const here = segments.find((segment) => Number(segment.dataset.place) === next);
  find("next").textContent = here?.dataset.text ?? state.next_text;
  find("count").textContent = state.photos.length;
  find("legend").textContent = [...page.querySelectorAll("[data-ring] [data-name]")].map((ring) => {
    const inside = [...ring.querySelectorAll("[data-place]")];
    const count = inside.filter((segment) => photoAt(Number(segment.dataset.place))).length;
    return `${ring.dataset.name}: ${count} of ${inside.length}${count === inside.length ? ", finished" : ""}`;
  }).join(" · ");
  find("take-text").textContent = next === null ? "All are taken" : `Take photo ${next + 1}`;
  find("finish").disabled = Boolean(state.problem) || waiting.length > 0;
  const isFull = !find("finish").disabled && (next === null || next >= state.planned);
  find("finish-here").hidden = !isFull;
  find("camera-label").classList.toggle("primary", !isFull);
  const wait = waiting.length ? `${waiting.length} of your photos wait to be sent` : "";
  find("problem").textContent = wait || state.problem;
  showPhotos();
}

function showPhotos() {
  const list = find("shots");
  const shown = new Map([...list.children].map((each) => [each.dataset.key, each]));
  const photos = [
    ...capture.state.photos.filter((photo) => !waitingAt(photo.place)).map((photo) => ({ ...photo, key: photo.sha256 })),
    ...capture.waiting,
  ].sort((one, other) => one.place - other.place);
  find("no-shots").hidden = photos.length > 0;
  list.replaceChildren(...photos.map((photo) => {
    const key = `${photo.place}-${photo.key ?? photo.at}`;
    const row = shown.get(key) ?? newRow(photo, key);
    const doubt = capture.doubts.get(photo.place);
    row.querySelector("[data-state]").textContent = photo.sha256 ? doubt ?? "" : "waits";
    row.classList.toggle("doubted", Boolean(doubt));
    showPicture(row.querySelector("img"), photo);
    return row;
  }));
}

function newRow({ place }, key) {
  const row = find("shot-template").content.firstElementChild.cloneNode(true);
  row.dataset.key = key;
  row.querySelector("[data-number]").textContent = place + 1;
  row.querySelector("img").alt = `Photo ${place + 1}`;
  row.querySelector("[name=place]").value = place;
  const [again, remove] = [row.querySelector("[data-again]"), row.querySelector("[data-remove]")];
  again.hidden = false;
  again.ariaLabel = `Take photo ${place + 1} again`;
  remove.ariaLabel = `Remove photo ${place + 1}`;
  again.addEventListener("click", () => takeAgain(place));
  row.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    removePhoto(place, new FormData(event.target));
  });
  return row;
}

function showPicture(image, photo) {
  const small = capture.urls.get(photo.key ?? "") ?? capture.urls.get(photo.sha256 ?? "");
  const large = photo.sha256 ? `${address}/photos/${photo.sha256}` : "";
  const wanted = small ?? large;
  if (wanted && image.getAttribute("src") !== wanted) image.src = wanted;
}

function takeAgain(place) {
  capture.again = place;
  show();
  if (!page.classList.contains("live")) find("camera").click();
  say("");
}

async function removePhoto(place, form) {
  capture.doubts.delete(place);
  const entry = waitingAt(place);
  if (entry) {
    await drop(entry);
    return show();
  }
  const sent = fetch(`${address}/remove`, { method: "POST", body: form, headers: { Accept: "application/json" } });
  const answer = await sent.catch(() => null);
  if (answer?.ok) setState(await answer.json());
  else say("The photo is still there: there was no answer. Try again.");
  return undefined;
}

// Take in files that were chosen, in the order of their names. A spin without photos is planned with their number;
// without a connection they wait in the places that it has.
async function addFiles(files) {
  const refused = [...files].filter(unusable);
  const sorted = [...files].filter((file) => !unusable(file))
    .sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true }));
  const isNew = !capture.state.photos.length && !capture.waiting.length;
  const before = capture.state.planned;
  let word = "";
  if (kind === "spin" && isNew && sorted.length >= least && sorted.length !== before) {
    const answer = await planFrames(sorted.length);
    if (answer === "refused") return;
    if (answer === "planned") word = `These are taken for a full turn of ${sorted.length} frames, not of ${before}.`;
  }
  for (const file of sorted) await add(file);
  if (refused.length) word += ` Left out: ${refused.map((file) => `${file.name}. ${unusable(file)}`).join(" ")}`;
  if (word) say(word.trim());
}

async function planFrames(count) {
  const body = new FormData();
  for (const [name, value] of Object.entries({ kind, frames: count, csrf_token: csrf })) body.append(name, value);
  const sent = fetch(address, { method: "POST", body, headers: { Accept: "application/json" } });
  const answer = await sent.catch(() => null);
  const state = await answer?.json().catch(() => null);
  if (!answer) return "unanswered";
  if (!answer.ok) {
    say(state?.error?.message ?? "There was no answer. Try again.");
    return "refused";
  }
  const fresh = await (await fetch(address)).text();
  const ring = new DOMParser().parseFromString(fresh, "text/html").querySelector("[data-ring]");
  find("ring").replaceWith(document.adoptNode(ring));
  capture.places = count;
  setState(state);
  return "planned";
}

function takeFrom(field, use) {
  field.addEventListener("change", async () => {
    const files = [...field.files];
    field.value = "";  // so that the same file can be chosen again
    if (files.length) await use(files);
  });
}

async function begin() {
  find("plain").hidden = true;
  find("take").hidden = false;
  capture.store = await openStore(page.dataset.capture);
  capture.waiting = await capture.store.waiting();
  for (const { sha256 } of capture.state.photos) {
    const preview = await capture.store.preview(sha256);
    if (preview) capture.urls.set(sha256, URL.createObjectURL(preview));
  }
  find("shots").replaceChildren();
  show();
  takeFrom(find("camera"), ([file]) => add(file));
  takeFrom(find("files"), addFiles);
  find("advice-keep").addEventListener("click", () => {
    capture.doubts.delete(Number(find("advice-again").dataset.at));
    say("");
    show();
  });
  find("advice-again").addEventListener("click", (event) => takeAgain(Number(event.target.dataset.at)));
  find("live").hidden = !canBeLive();
  find("live").addEventListener("click", () => {
    openCamera(capture).catch(() => say("The live camera cannot be used here. Take photos with the button beside it."));
  });
  addEventListener("beforeunload", (event) => {  // only what is nowhere else: the browser asks
    const isLost = capture.waiting.some((entry) => capture.store.forgets || entry.file || !entry.key);
    if (isLost) event.preventDefault();
  });
  page.dataset.ready = "";
  sendWaiting(capture);
}

begin();
