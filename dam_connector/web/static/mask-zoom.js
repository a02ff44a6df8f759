// Zoom of the mask while somebody paints: buttons, a pinch, Ctrl and the wheel; two fingers move it.
const MAX_ZOOM = 12;
const STEP = 1.6;

export function makeZoomable(canvas, form, onChange) {
  const frame = canvas.parentElement;
  const view = { zoom: 1, x: 0, y: 0 };  // x, y: where the canvas begins in its frame, in px
  const touches = new Map();
  let isPinching = false;  // until the last finger leaves
  const apply = () => {
    view.x = Math.min(0, Math.max(frame.clientWidth * (1 - view.zoom), view.x));
    view.y = Math.min(0, Math.max(frame.clientHeight * (1 - view.zoom), view.y));
    canvas.style.transform = view.zoom > 1 ? `translate(${view.x}px, ${view.y}px) scale(${view.zoom})` : "";
    canvas.dataset.zoom = view.zoom.toFixed(2);
    onChange();
  };
  const zoomAt = (factor, [x, y]) => {
    const zoom = Math.min(MAX_ZOOM, Math.max(1, view.zoom * factor));
    view.x = x - (x - view.x) * zoom / view.zoom;
    view.y = y - (y - view.y) * zoom / view.zoom;
    view.zoom = zoom;
    apply();
  };
  const inFrame = ({ clientX, clientY }) => {
    const box = frame.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  };
  const middle = () => [frame.clientWidth / 2, frame.clientHeight / 2];
  const pinch = () => {
    const [[ax, ay], [bx, by]] = [...touches.values()];
    return { at: [(ax + bx) / 2, (ay + by) / 2], span: Math.max(1, Math.hypot(ax - bx, ay - by)) };
  };
  const steps = { in: () => zoomAt(STEP, middle()), out: () => zoomAt(1 / STEP, middle()), all: () => zoomAt(0, middle()) };
  for (const button of form.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => steps[button.dataset.zoom]());
  }
  frame.addEventListener("wheel", (event) => {
    if (canvas.hidden || !event.ctrlKey) return;
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY / 200), inFrame(event));
  }, { passive: false });
  // Each returns whether fingers zoom or move the mask, so that nothing is painted.
  return {
    get zoom() { return view.zoom; },
    down(event) {
      if (event.pointerType !== "touch") return false;
      touches.set(event.pointerId, inFrame(event));
      isPinching ||= touches.size > 1;
      return isPinching;
    },
    move(event) {
      if (!isPinching || !touches.has(event.pointerId)) return isPinching;
      const before = touches.size === 2 && pinch();
      touches.set(event.pointerId, inFrame(event));
      if (!before) return true;
      const now = pinch();
      view.x += now.at[0] - before.at[0];
      view.y += now.at[1] - before.at[1];
      zoomAt(now.span / before.span, now.at);
      return true;
    },
    up(event) {
      const was = isPinching;
      touches.delete(event.pointerId);
      if (!touches.size) isPinching = false;
      return was;
    },
    // Move the mask so that a place, in shares of the frame, is seen.
    show([x, y]) {
      const [width, height] = [frame.clientWidth, frame.clientHeight];
      const at = [x * width * view.zoom + view.x, y * height * view.zoom + view.y];
      if (at[0] < 0 || at[0] > width) view.x = width / 2 - x * width * view.zoom;
      if (at[1] < 0 || at[1] > height) view.y = height / 2 - y * height * view.zoom;
      apply();
    },
  };
}
