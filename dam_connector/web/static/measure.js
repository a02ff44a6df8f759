// Tools of the viewer: distances between two places, the product's box, and views of the surface without texture.
import { addOverlay } from "./overlay.js";
import { modelScene } from "./viewers.js";

const EDGES = [[0, 1], [1, 3], [3, 2], [2, 0], [4, 5], [5, 7], [7, 6], [6, 4], [0, 4], [1, 5], [2, 6], [3, 7]];
const CLICK_PX = 5;  // a longer way of the pointer turns the model
const CHECKER_PX = 512;

export function addTools(page) {
  const viewer = page.querySelector("[data-main][data-viewer]");
  const tools = page.querySelector("[data-tools]");
  if (!viewer || !tools) return;
  const overlay = addOverlay(viewer);
  const toggle = (name) => tools.querySelector(`[data-tool=${name}]`);
  const showModel = () => {  // in place of a photo or a render, on which the tools draw nothing
    if (viewer.hidden) viewer.closest(".pane").querySelector("[data-show-model]").click();
  };
  for (const button of tools.querySelectorAll("[data-tool]")) {
    button.addEventListener("click", () => {
      const on = viewer.hidden || button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      if (on) showModel();
      if (button.dataset.tool === "box") showBox(viewer, overlay, on ? boxSize(viewer, tools) : null);
      if (button.dataset.tool !== "measure") return;
      overlay.clear("measure");
      tools.querySelector("[data-measured]").textContent = on ? "Click two places on the model." : "";
    });
  }
  measureByClicks(viewer, overlay, () => toggle("measure").getAttribute("aria-pressed") === "true", tools);
  tools.querySelector("select[data-surface]").addEventListener("change", (event) => {
    showModel();
    showSurface(viewer, event.target.value);
  });
  tools.hidden = false;
}

const lengthText = (metres) => `${Math.round(metres * 1000).toLocaleString("en")} mm`;

function measureByClicks(viewer, overlay, isOn, tools) {
  let start = null;
  let first = null;
  viewer.addEventListener("pointerdown", (event) => { start = event; }, true);
  viewer.addEventListener("pointerup", (event) => {
    if (!isOn() || !start || Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > CLICK_PX) return;
    const hit = viewer.positionAndNormalFromPoint(event.clientX, event.clientY);
    if (!hit) return;
    const { x, y, z } = hit.position;
    if (!first) overlay.clear("measure");
    const point = { at: [x, y, z], mark: overlay.addPoint("measure", [x, y, z]) };
    if (!first) {
      first = point;
      return;
    }
    const text = lengthText(Math.hypot(...point.at.map((each, i) => each - first.at[i])));
    overlay.addLine("measure", first.mark, point.mark);
    overlay.addPoint("measure", point.at.map((each, i) => (each + first.at[i]) / 2), text);
    tools.querySelector("[data-measured]").textContent = text;
    first = null;
  }, true);
}

// The size of the product by its record, or that of the model: width, height and depth in metres.
function boxSize(viewer, tools) {
  const size = (tools.dataset.size || "").split(" ").map(Number);
  const { x, y, z } = viewer.getDimensions();
  return [x, y, z].map((each, i) => size[i] || each);
}

function showBox(viewer, overlay, size) {
  overlay.clear("box");
  if (!size) return;
  const [width, height, depth] = size;
  const center = viewer.getBoundingBoxCenter();
  const bottom = center.y - viewer.getDimensions().y / 2;
  const at = (i) => [
    center.x + (i & 1 ? 0.5 : -0.5) * width, bottom + (i & 2 ? height : 0), center.z + (i & 4 ? 0.5 : -0.5) * depth,
  ];
  const corners = Array.from({ length: 8 }, (_, i) => overlay.addPoint("box", at(i)));
  for (const [from, to] of EDGES) overlay.addLine("box", corners[from], corners[to]);
  const between = (a, b) => at(a).map((each, i) => (each + at(b)[i]) / 2);
  overlay.addPoint("box", between(4, 5), lengthText(width));
  overlay.addPoint("box", between(5, 7), lengthText(height));
  overlay.addPoint("box", between(1, 5), lengthText(depth));
}

// What the materials were like before, by viewer.
const originals = new WeakMap();

// Show the surface with its texture, as clay (shape without texture), as a wireframe, or with a checkerboard by its UV.
async function showSurface(viewer, kind) {
  if (!originals.has(viewer)) {
    originals.set(viewer, viewer.model.materials.map(({ pbrMetallicRoughness: pbr }) => ({
      texture: pbr.baseColorTexture?.texture ?? null,
      color: [...pbr.baseColorFactor],
      metallic: pbr.metallicFactor,
      roughness: pbr.roughnessFactor,
    })));
  }
  const checker = kind === "uv" ? await viewer.createTexture(checkerImage()) : null;
  viewer.model.materials.forEach(({ pbrMetallicRoughness: pbr }, i) => {
    const original = originals.get(viewer)[i];
    const isPlain = kind === "clay" || kind === "wireframe";
    pbr.baseColorTexture?.setTexture(kind === "uv" ? checker : isPlain ? null : original.texture);
    pbr.setBaseColorFactor(kind ? [1, 1, 1, 1].map((one, n) => (isPlain && n < 3 ? 0.55 : one)) : original.color);
    pbr.setMetallicFactor(kind ? 0 : original.metallic);
    pbr.setRoughnessFactor(kind ? 0.7 : original.roughness);
  });
  modelScene(viewer)?.traverse((each) => {
    if (each.isMesh && each.material && "wireframe" in each.material) each.material.wireframe = kind === "wireframe";
  });
  modelScene(viewer)?.queueRender();
  viewer.dataset.surface = kind;
}

function checkerImage() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = CHECKER_PX;
  const context = canvas.getContext("2d");
  const side = CHECKER_PX / 16;
  for (let x = 0; x < 16; x += 1) {
    for (let y = 0; y < 16; y += 1) {
      context.fillStyle = (x + y) % 2 ? "#3a3a3a" : `hsl(${x * 22} 60% ${80 - y * 2}%)`;
      context.fillRect(x * side, y * side, side, side);
    }
  }
  return canvas.toDataURL();
}
