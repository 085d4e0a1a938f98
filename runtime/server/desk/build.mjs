// Builds the page into dist/, which is committed and embedded in the runtime's binary. The same
// sources give the same bytes on every machine. `--check` builds into memory and says whether
// dist/ is stale.
import { build } from "esbuild";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
/** The page must stay light: what is embedded and sent, uncompressed. */
const MOST_BYTES = 200_000;
/** What the bundle holds of others, whose licences ask to be passed on. */
const BUNDLED = ["preact", "@preact/signals", "@preact/signals-core"];

/** Every file of dist/ by its name, with what belongs into it. */
async function files() {
  const made = new Map();
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: { desk: "src/main.tsx" },
    outdir: "assets",
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2022", "chrome123", "firefox124", "safari17.5"],
    jsx: "automatic",
    jsxImportSource: "preact",
    charset: "utf8",
    legalComments: "none",
    banner: {
      js: "/* Eywa desk. Contains Preact and Preact Signals, see licenses.txt. */",
    },
    logLevel: "warning",
    write: false,
  });
  for (const file of outputFiles) {
    made.set(`assets/${file.path.split(/[\\/]/).pop()}`, Buffer.from(file.contents));
  }
  made.set("index.html", await readFile(join(here, "src/index.html")));
  made.set("assets/icon.svg", await readFile(join(here, "src/icon.svg")));
  made.set("assets/licenses.txt", Buffer.from(await licenses()));
  return made;
}

async function licenses() {
  const parts = [];
  for (const name of BUNDLED) {
    const folder = join(here, "node_modules", name);
    const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    parts.push(`${name} ${version}\n\n${(await readFile(join(folder, "LICENSE"), "utf8")).trim()}\n`);
  }
  return parts.join("\n----\n\n");
}

async function present() {
  const found = new Map();
  for (const entry of await readdir(dist, { recursive: true, withFileTypes: true }).catch(() => [])) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    found.set(path.slice(dist.length + 1).replaceAll("\\", "/"), await readFile(path));
  }
  return found;
}

const made = await files();
const bytes = [...made].reduce((sum, [, content]) => sum + content.length, 0);
if (bytes > MOST_BYTES) {
  console.error(`the page has ${bytes} bytes, more than the ${MOST_BYTES} it may have`);
  process.exit(1);
}
if (process.argv.includes("--check")) {
  const found = await present();
  const stale = [...new Set([...made.keys(), ...found.keys()])].filter(
    (name) => !made.has(name) || !found.has(name) || !made.get(name).equals(found.get(name)),
  );
  if (stale.length > 0) {
    console.error(`dist/ is stale: ${stale.sort().join(", ")}. Run \`npm ci && npm run build\` in ${here}`);
    process.exit(1);
  }
} else {
  await rm(dist, { recursive: true, force: true });
  for (const [name, content] of made) {
    await mkdir(dirname(join(dist, name)), { recursive: true });
    await writeFile(join(dist, name), content);
  }
  console.log(`dist/ has ${bytes} bytes`);
}
