// Builds into dist what is published.
//   node scripts/build.mjs
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeDeclarations } from './lib/declarations.mjs'
import { entries } from './lib/entries.mjs'
import { Failure, ROOT, script } from './lib/process.mjs'
import { setUpBuild } from './setup.mjs'
import { buildWasm, PKG } from './wasm.mjs'

const DIST = join(ROOT, 'dist')
const WASM_NAME = 'tidesync_bg.wasm'

/** All of dist: modules, declarations and WebAssembly. */
export async function build() {
  await buildWasm()
  rmSync(DIST, { recursive: true, force: true })
  mkdirSync(DIST, { recursive: true })
  console.log('build: bundling the modules')
  await bundle()
  copyFileSync(join(PKG, WASM_NAME), join(DIST, WASM_NAME))
  console.log('build: writing the declarations')
  await writeDeclarations(
    entries().map(({ name }) => name),
    DIST,
  )
  checkModules()
  for (const name of readdirSync(DIST).filter((name) => /\.(js|wasm)$/.test(name))) {
    console.log(`  dist/${name}  ${statSync(join(DIST, name)).size} bytes`)
  }
}

/** Shared code goes to chunks beside the entries, so that one page has one instance and one path to the WebAssembly. */
async function bundle() {
  const esbuild = await import('esbuild')
  await esbuild.build({
    absWorkingDir: ROOT,
    entryPoints: Object.fromEntries(entries().map(({ name, source }) => [name, source])),
    outdir: DIST,
    chunkNames: 'chunk-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    packages: 'external',
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [wasmBesideModules],
  })
}

/** In the sources the WebAssembly is in www/pkg; in dist it is beside the modules. */
const wasmBesideModules = {
  name: 'wasm-beside-modules',
  setup(/** @type {import('esbuild').PluginBuild} */ esbuild) {
    esbuild.onLoad({ filter: /[\\/]www[\\/]src[\\/]engine-module\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(`'../pkg/${WASM_NAME}'`, `'./${WASM_NAME}'`),
      loader: 'ts',
    }))
  },
}

/** What bundlers rely on: the literal by which they find the WebAssembly, and the mark of client components. */
function checkModules() {
  const modules = readdirSync(DIST).filter((name) => name.endsWith('.js'))
  const text = new Map(modules.map((name) => [name, readFileSync(join(DIST, name), 'utf8')]))
  const literal = `new URL("./${WASM_NAME}", import.meta.url)`
  if (![...text.values()].some((module) => module.includes(literal))) {
    throw new Failure(
      `no module in dist holds new URL('./${WASM_NAME}', import.meta.url): bundlers would not find it`,
    )
  }
  if (!text.get('react.js')?.startsWith('"use client"'))
    throw new Failure('dist/react.js does not start with "use client"')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await script(async () => {
    await setUpBuild()
    await build()
  })
}
