// The page of the API; its requests carry the CSRF token of the session.
const root = document.getElementById("swagger");
window.addEventListener("load", () => window.SwaggerUIBundle({
  url: root.dataset.spec,
  domNode: root,
  validatorUrl: null,
  requestInterceptor: (request) => {
    request.headers["X-CSRFToken"] = root.dataset.csrf;
    return request;
  },
}));
