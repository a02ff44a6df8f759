// The API's page; requests carry the session's CSRF token.
const root = document.getElementById("swagger");
window.addEventListener("load", () => window.SwaggerUIBundle({
  url: root.dataset.spec, domNode: root, deepLinking: true, validatorUrl: null,
  requestInterceptor: (request) => { request.headers["X-CSRFToken"] = root.dataset.csrf; return request; },
}));
