// The live camera: only where the origin is secure. Whatever fails, the photos come from the file field instead.
import { cameraPose, isSteady, placeAt, startHeading } from "./capture-pose.js";

const NEAR_DEGREES = 5;  // from the middle of a segment, for a photo by itself
const AUTO_PAUSE_MS = 1500;
const QUALITY = 0.93;

export const canBeLive = () => isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);

// Open the camera in the page. `capture` has: page, kind, round, nextPlace(), isFree(place), add(file, place).
export async function openCamera(capture) {
  const { page } = capture;
  const find = (name) => page.querySelector(`[data-${name}]`);
  const video = find("video");
  const asked = globalThis.DeviceOrientationEvent?.requestPermission?.().catch(() => "denied");  // iOS, by a tap
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { facingMode: "environment", width: { ideal: 4096 }, height: { ideal: 3072 } },
  });
  video.srcObject = stream;
  await video.play();
  page.classList.add("live");
  for (const name of ["video", "outline", "shutter"]) find(name).removeAttribute("hidden");
  for (const name of ["camera-label", "live"]) find(name).hidden = true;
  navigator.wakeLock?.request("screen").catch(() => {});
  const live = { capture, video, stream, poses: [], start: null, lastAt: 0, isTaking: false };
  find("shutter").addEventListener("click", () => take(live));
  if ((await asked) !== "denied" && capture.kind === "walk") followHeading(live, find);
}

function followHeading(live, find) {
  const isAbsolute = "ondeviceorientationabsolute" in window;
  addEventListener(isAbsolute ? "deviceorientationabsolute" : "deviceorientation", (event) => {
    if (event.alpha === null) return;
    const pose = cameraPose(event.alpha, event.beta, event.gamma);
    const now = performance.now();
    live.poses = [...live.poses.filter((each) => now - each.at < 1000), { ...pose, at: now }];
    const { nextPlace, round, page } = live.capture;
    live.start ??= startHeading(pose.heading, nextPlace() ?? 0, round);
    live.at = placeAt(pose, live.start, round);
    find("here").removeAttribute("hidden");
    find("here").setAttribute("transform", `rotate(${-live.at.angle})`);
    for (const segment of page.querySelectorAll("[data-place]")) {
      segment.classList.toggle("under", Number(segment.dataset.place) === live.at.place);
    }
    find("auto").hidden = false;
    if (find("auto").querySelector("input").checked) takeWhenThere(live, now);
  });
}

function takeWhenThere(live, now) {
  const { place, off } = live.at;
  if (now - live.lastAt < AUTO_PAUSE_MS || off > NEAR_DEGREES || !live.capture.isFree(place)) return;
  if (isSteady(live.poses, now)) take(live);
}

// Take a photo; its place is where the phone is, or the next one.
async function take(live) {
  if (live.isTaking) return;
  live.isTaking = true;
  live.lastAt = performance.now();
  const isThere = live.at && live.capture.again === null && live.capture.isFree(live.at.place);
  const place = isThere ? live.at.place : undefined;
  try {
    live.capture.add(await grab(live.video, live.stream), place);
  } finally {
    live.isTaking = false;
  }
}

async function grab(video, stream) {
  const [track] = stream.getVideoTracks();
  try {
    const photo = await new ImageCapture(track).takePhoto();  // of the whole sensor, where the browser can
    if (photo.type === "image/jpeg") return photo;
  } catch { /* the frame of the video, then */ }
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", QUALITY); });
}
