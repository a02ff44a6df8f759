// The AR page: dimensions on request; no rotation for people who asked their system for less motion.
const button = document.getElementById("sizes");
button?.addEventListener("click", () => {
  const sizes = document.querySelector(".sizes");
  sizes.hidden = !sizes.hidden;
  button.setAttribute("aria-pressed", String(!sizes.hidden));
});
if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
  document.getElementById("model").removeAttribute("auto-rotate");
}
