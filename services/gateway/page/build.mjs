// Builds the page and the client into cwt_gateway/static, or into the folder that is named.
import { build } from "esbuild";
import { copyFile, mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const out = process.argv[2] ?? here("../cwt_gateway/static");

const options = {
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};
await mkdir(out, { recursive: true });
await build({ ...options, entryPoints: { live: here("src/main.ts") }, outdir: out, minify: true });
await build({ ...options, entryPoints: { "pycwt-client": here("src/index.ts") }, outdir: out });
await copyFile(here("node_modules/uplot/LICENSE"), `${out}/uplot-licence.txt`);
for (const name of ["live.html", "icon.svg"]) {
  await copyFile(here(`src/${name}`), `${out}/${name}`);
}
