// Starts Flutter from our own files. `flet` is read by the Dart client, and by Flet's python.js if that has been loaded:
// then Python runs in this browser, and not behind `/ws`.
const base = new URL(document.currentScript.dataset.base, document.baseURI).pathname;

var flet = {
  pyodide: "jsConnect" in globalThis,
  pyodideUrl: `${base}/pyodide/pyodide.mjs`,
  pythonModuleName: "main",
  appPackageUrl: `${base}/app.tar.gz`,
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

// What is taken out of the page with the focus would take the focus with it, and Tab would begin anew: Flutter knows who
// has it next. Only where a key has just closed or pressed something: who types, points or presses by a screen reader
// moves the focus in the same moment, and is not interfered with.
const PRESSING = ["Enter", " ", "Escape"];
let hasPressed = false;
for (const kind of ["keydown", "pointerdown", "click"]) {
  addEventListener(kind, ({ key }) => (hasPressed = PRESSING.includes(key)), true);
}
addEventListener("focusout", ({ relatedTarget }) => {
  if (relatedTarget !== null || !hasPressed) return;
  setTimeout(() => {
    const isLost = document.hasFocus() && document.activeElement === document.body;
    if (isLost && hasPressed) document.querySelector("flutter-view")?.focus();
  });
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
