// Starts Flutter from our own files. `flet` is read by the Dart client.
const base = document.currentScript.dataset.base;

var flet = {
  pyodide: false,
  multiView: false,
  noCdn: true,
  webSocketEndpoint: "/ws",
  entrypointBaseUrl: `${base}/`,
  assetBase: `${base}/`,
  routeUrlStrategy: "hash",
  canvasKitBaseUrl: `${base}/canvaskit/`,
  fontFallbackBaseUrl: `${base}/fallback/`,
};

// WebKit restores a Flutter page from its back/forward cache with frames that never come.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted && navigator.vendor?.startsWith("Apple")) location.reload();
});

addEventListener("flutter-first-frame", () => document.getElementById("loading")?.remove(), { once: true });

const config = {
  entrypointBaseUrl: flet.entrypointBaseUrl,
  assetBase: flet.assetBase,
  canvasKitBaseUrl: flet.canvasKitBaseUrl,
  fontFallbackBaseUrl: flet.fontFallbackBaseUrl,
};

_flutter.loader.load({
  config,
  onEntrypointLoaded: async (engineInitializer) => {
    const engine = await engineInitializer.initializeEngine(config);
    await engine.runApp();
  },
});
