// Runs a Python file in Pyodide, beside the client's own modules: node pyodide.mjs STATIC_BUILD FILE URL
import { readFileSync } from "node:fs";

const [folder, file, url] = process.argv.slice(2);
const { loadPyodide } = await import(`${folder}/pyodide/pyodide.mjs`);
const pyodide = await loadPyodide();
pyodide.unpackArchive(new Uint8Array(readFileSync(`${folder}/app.tar.gz`)), "gztar");
pyodide.runPython("import sys; sys.path[:0] = ['.', '__pypackages__']");
pyodide.globals.set("URL", url);
console.log(await pyodide.runPythonAsync(readFileSync(file, "utf8")));
process.exit(0);
