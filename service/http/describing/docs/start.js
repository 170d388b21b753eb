SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  // The badge asks a validator elsewhere.
  validatorUrl: null,
  displayRequestDuration: true,
});
