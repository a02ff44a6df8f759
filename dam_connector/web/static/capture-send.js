// Photos are sent one by one, with progress, again and again until the server answers.
const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 30_000;
const LATER = new Set([0, 408, 425, 429, 500, 502, 503, 504]);  // no answer, or one that may be another later
const LOGGED_OUT = new Set([400, 401, 403]);
let isSending = false;

export async function sendWaiting(capture) {
  if (isSending) return;
  isSending = true;
  const find = (name) => capture.page.querySelector(`[data-${name}]`);
  let pause = FIRST_PAUSE_MS;
  while (capture.waiting.some((entry) => entry.key)) {
    const entry = capture.waiting.find((each) => each.key);
    const { status, body } = await send(capture, entry, find);
    if (status === 200) {
      pause = FIRST_PAUSE_MS;
      await arrived(capture, entry, body);
    } else if (LATER.has(status)) {
      const count = capture.waiting.length;
      const photos = count === 1 ? "1 photo waits" : `${count} photos wait`;
      report(find, `No connection: ${photos} on this phone, and will be sent later.`, true);
      await waitOrRetry(find, pause);
      pause = Math.min(2 * pause, LAST_PAUSE_MS);
    } else if (LOGGED_OUT.has(status)) {
      report(find, "You were logged out. Reload the page and log in: the photos wait on this phone.");
      isSending = false;
      return;
    } else if (status === 409) {
      await findOtherPlace(capture, entry);
    } else if (status === 404) {
      const count = capture.waiting.length;
      const photos = count === 1 ? "1 photo was" : `${count} photos were`;
      report(find, `This was finished or cancelled on another device, and ${photos} not sent. Reload the page to begin again.`);
      isSending = false;
      return;
    } else {
      await discard(capture, entry);
      capture.say(`Photo ${entry.place + 1} was not taken. ${body?.error?.message ?? ""}`, entry.place);
    }
  }
  find("sending").hidden = true;
  isSending = false;
}

async function send(capture, entry, find) {
  const file = entry.file ?? await capture.store.file(entry.key);
  if (!file) {
    await discard(capture, entry);
    return { status: 200, body: capture.state };
  }
  const form = new FormData();
  form.append("csrf_token", capture.csrf);
  form.append("place", entry.place);
  form.append("replaces", entry.replaces);
  form.append("file", file, `photo-${entry.place + 1}`);
  report(find, `Sending photo ${entry.place + 1}`);
  const progress = find("sending").querySelector("progress");
  progress.value = 0;
  return new Promise((resolve) => {
    const sent = new XMLHttpRequest();
    sent.open("POST", `${capture.address}/photos`);
    sent.setRequestHeader("Accept", "application/json");
    sent.responseType = "json";
    sent.upload.onprogress = (event) => { progress.value = event.loaded / event.total; };
    sent.onloadend = () => resolve({ status: sent.status, body: sent.response });
    sent.send(form);
  });
}

async function arrived(capture, entry, state) {
  entry.sha256 = state.photos.find((photo) => photo.place === entry.place)?.sha256;
  if (entry.sha256 && capture.urls.has(entry.key)) {
    capture.urls.set(entry.sha256, capture.urls.get(entry.key));
    await capture.store.setPreview(entry.sha256, entry.preview).catch(() => {});
  }
  for (const later of capture.waiting) {  // it was taken again while it was sent
    if (later !== entry && later.place === entry.place) later.replaces = entry.sha256;
  }
  capture.state = state;  // first: at no moment is the place free
  await discard(capture, entry);
}

async function discard(capture, entry) {
  capture.waiting = capture.waiting.filter((each) => each !== entry);
  await capture.store.remove(entry.key);
  capture.show();
}

// Another device took a photo at the place: this one goes to the next free place.
async function findOtherPlace(capture, entry) {
  const answer = await fetch(capture.address, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return;  // the next request says why
  capture.setState(await answer.json());
  const place = capture.nextPlace();
  if (place === null) {
    await discard(capture, entry);
    capture.say("All places are taken, some by another device. The last photo was not sent.");
    return;
  }
  Object.assign(entry, { place, replaces: "" });
  await capture.store.change(entry.key, { place, replaces: "" });
}

function report(find, text, canRetry = false) {
  find("sending").hidden = false;
  find("sending-text").textContent = text;
  find("retry").hidden = !canRetry;
  find("sending").querySelector("progress").hidden = canRetry;
}

function waitOrRetry(find, ms) {
  return new Promise((resolve) => {
    const stop = new AbortController();
    const go = () => {
      clearTimeout(timer);
      stop.abort();
      resolve();
    };
    const timer = setTimeout(go, ms);
    addEventListener("online", go, { signal: stop.signal });
    find("retry").addEventListener("click", go, { signal: stop.signal });
  });
}
