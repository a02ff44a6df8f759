// The page of the API; its requests carry the CSRF token of the session.
const root = document.getElementById("swagger");

// The styles of Swagger UI have a dark theme of their own, by a class of the root.
const page = document.documentElement;
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
const followTheme = () => {
  const isDark = page.dataset.theme ? page.dataset.theme === "dark" : systemIsDark.matches;
  page.classList.toggle("dark-mode", isDark);
};
followTheme();
systemIsDark.addEventListener("change", followTheme);
new MutationObserver(followTheme).observe(page, { attributeFilter: ["data-theme"] });

window.addEventListener("load", () => window.SwaggerUIBundle({
  url: root.dataset.spec,
  domNode: root,
  validatorUrl: null,
  requestInterceptor: (request) => {
    request.headers["X-CSRFToken"] = root.dataset.csrf;
    return request;
  },
}));
