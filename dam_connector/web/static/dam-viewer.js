// For shops: `<script src=".../embed/dam-viewer.js" async></script>` and `<dam-viewer sku="CH123"></dam-viewer>`
// show the AR page of a product in a frame. The element is as wide as its place, and square unless CSS says else.
// theme="dark" or theme="system": for shops that are dark, always or by the shopper's system.
(() => {
  const { origin } = new URL(document.currentScript.src);
  const STYLE = ":host { display: block; aspect-ratio: 1; } iframe { width: 100%; height: 100%; border: 0; display: block; }";

  class DamViewer extends HTMLElement {
    static observedAttributes = ["sku", "theme"];

    connectedCallback() { this.show(); }

    attributeChangedCallback() { if (this.isConnected) this.show(); }

    show() {
      const sku = this.getAttribute("sku");
      const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
      root.innerHTML = `<style>${STYLE}</style>`;
      if (!sku) return;
      const frame = document.createElement("iframe");
      const theme = this.getAttribute("theme");
      frame.src = `${origin}/ar/${sku.split("/").map(encodeURIComponent).join("/")}?embed${theme ? `&theme=${encodeURIComponent(theme)}` : ""}`;
      frame.title = this.getAttribute("title") || "3D";
      frame.loading = "lazy";
      frame.allow = "xr-spatial-tracking; fullscreen";
      root.append(frame);
    }
  }
  if (!customElements.get("dam-viewer")) customElements.define("dam-viewer", DamViewer);
})();
