// What is wrong with a photo, by a small copy of it. It is advice: a wrong word costs one tap.
const DARK = 45;  // mean brightness, of 255
const BRIGHT = 225;
const BURNT_SHARE = 0.4;  // of pixels that are plain white
const BRIGHT_STUDIO = 250;  // before a white background, which may be burnt
const BLURRED = 0.58;  // see `blur`: sharp photos have .2 to .5
const SAME = 4;  // mean difference to the photo before, of 255; steps of a walk differ by 10 and more
const SIGNATURE_SIDE = 32;

const ADVICE = {
  dark: "is very dark: more light helps.",
  bright: "is very bright: less light, or another direction, helps.",
  blurred: "looks blurred: hold still, and let the camera focus.",
  same: "looks like the one before: go on by a step first.",
};

// Return a word about a photo (empty if it is good), what to say about it, and its signature for the next one.
export function judge({ width, height, data }, before = null, isStudio = false) {
  const grey = new Float32Array(width * height);
  let sum = 0;
  let burnt = 0;
  for (let i = 0; i < grey.length; i += 1) {
    const value = 0.299 * data[i * 4] + 0.587 * data[i * 4 + 1] + 0.114 * data[i * 4 + 2];
    grey[i] = value;
    sum += value;
    if (value > 250) burnt += 1;
  }
  const signature = reduced(grey, width, height);
  const mean = sum / grey.length;
  const isBright = isStudio ? mean > BRIGHT_STUDIO : mean > BRIGHT || burnt > BURNT_SHARE * grey.length;
  let word = "";
  if (mean < DARK) word = "dark";
  else if (isBright) word = "bright";
  else if (blur(grey, width, height) > BLURRED) word = "blurred";
  else if (before && !isStudio && difference(signature, before) < SAME) word = "same";
  return { word, advice: ADVICE[word] ?? "", signature };
}

// Return how blurred a picture is, from 0 to 1: the share of its steps in brightness that stay when it is blurred
// (after Crete and others, 2007). A picture that is blurred already loses few.
export function blur(grey, width, height) {
  return Math.max(blurAlong(grey, width, height, 1, width), blurAlong(grey, height, width, width, 1));
}

function blurAlong(grey, length, lines, step, lineStep) {
  const reach = 4;
  let sharp = 0;
  let lost = 0;
  for (let line = 1; line < lines - 1; line += 1) {
    const at = line * lineStep;
    let window = 0;
    for (let i = 0; i <= 2 * reach; i += 1) window += grey[at + i * step];
    for (let i = reach + 1; i < length - reach; i += 1) {
      const next = window + grey[at + (i + reach) * step] - grey[at + (i - reach - 1) * step];
      const was = Math.abs(grey[at + i * step] - grey[at + (i - 1) * step]);
      const stays = Math.abs(next - window) / (2 * reach + 1);
      sharp += was;
      lost += Math.max(0, was - stays);
      window = next;
    }
  }
  return sharp ? (sharp - lost) / sharp : 1;
}

function reduced(grey, width, height) {
  const sums = new Float32Array(SIGNATURE_SIDE ** 2);
  const counts = new Float32Array(SIGNATURE_SIDE ** 2);
  for (let y = 0; y < height; y += 1) {
    const row = Math.floor((y * SIGNATURE_SIDE) / height) * SIGNATURE_SIDE;
    for (let x = 0; x < width; x += 1) {
      const cell = row + Math.floor((x * SIGNATURE_SIDE) / width);
      sums[cell] += grey[y * width + x];
      counts[cell] += 1;
    }
  }
  return sums.map((sum, i) => sum / Math.max(1, counts[i]));
}

function difference(one, other) {
  return one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / one.length;
}

// Return a picture file as pixels of at most `side` on its longer side, turned as its EXIF says, and as a small JPEG.
export async function smallCopy(file, side = 640) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((each) => Math.max(1, Math.round(each * scale)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const preview = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.8); });
  return { pixels: context.getImageData(0, 0, width, height), preview };
}
