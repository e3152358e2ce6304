"use strict";

// Below a path that a server before the proxy takes off, what is tried has to go there as well.
const home = new URL(".", location.href);
const below = (update) => (description) =>
  update(home.pathname === "/" ? description : { ...description, servers: [{ url: home.href }] });

// Relative, so that the page also works behind a path prefix. No validator: nothing leaves this host.
window.addEventListener("load", () => {
  window.ui = SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    filter: true,
    persistAuthorization: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    layout: "BaseLayout",
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [{ statePlugins: { spec: { wrapActions: { updateJsonSpec: below } } } }],
  });
});
