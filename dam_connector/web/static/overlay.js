// Lines over a model that follow it, on the page of a version and on the AR page.
const SVG = "http://www.w3.org/2000/svg";

// Lines and labels over the model, which follow it: each end is a hotspot of the viewer.
export function addOverlay(viewer) {
  const svg = document.createElementNS(SVG, "svg");
  svg.classList.add("lines");
  svg.setAttribute("aria-hidden", "true");
  viewer.append(svg);  // there it is under the hotspots
  const lines = [];
  let count = 0;
  const addPoint = (group, [x, y, z], text = "") => {
    const point = document.createElement("div");
    point.slot = `hotspot-tool-${count += 1}`;
    point.dataset.position = `${x} ${y} ${z}`;
    point.dataset.group = group;
    point.className = text ? "length" : "end";
    point.textContent = text;
    viewer.append(point);
    return point;
  };
  const draw = () => {
    for (const { line, from, to } of lines) {
      const [a, b] = [from, to].map((each) => viewer.queryHotspot(each.slot)?.canvasPosition);
      if (!a || !b) continue;
      for (const [name, value] of Object.entries({ x1: a.x, y1: a.y, x2: b.x, y2: b.y })) line.setAttribute(name, value);
    }
  };
  viewer.addEventListener("camera-change", draw);
  new ResizeObserver(() => requestAnimationFrame(draw)).observe(viewer);
  return {
    addPoint,
    addLine(group, from, to) {
      const line = document.createElementNS(SVG, "line");
      line.dataset.group = group;
      svg.append(line);
      lines.push({ line, from, to });
      requestAnimationFrame(() => requestAnimationFrame(draw));  // the viewer knows new hotspots in the next frame
    },
    clear(group) {
      for (const each of viewer.querySelectorAll(`[data-group=${group}]`)) each.remove();
      for (let i = lines.length - 1; i >= 0; i -= 1) {
        if (lines[i].line.dataset.group !== group) continue;
        lines[i].line.remove();
        lines.splice(i, 1);
      }
    },
  };
}
