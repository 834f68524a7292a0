// Builds the browser engine into www/pkg: cargo, wasm-bindgen, wasm-opt, and its text form for `tidesync/inline`.
//   node scripts/wasm.mjs
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { output, ROOT, run, script } from './lib/process.mjs'
import { setUpBuild } from './setup.mjs'

/** Generated, and ignored by git: the glue, its types, the WebAssembly, and that again as text. */
export const PKG = join(ROOT, 'www/pkg')

const TARGET = 'wasm32-unknown-unknown'
const WASM = join(PKG, 'tidesync_bg.wasm')
const STAMP = join(PKG, '.stamp')
const BINDGEN_FLAGS = [
  ...['--target', 'web', '--out-name', 'tidesync', '--remove-producers-section'],
  // The loader (www/src/engine-module.ts) says where the module is, and starts it anew after a panic.
  ...['--omit-default-module-path', '--experimental-reset-state-function'],
]
// The section that lists the features must reach wasm-opt, so it is dropped here and not by cargo.
const OPT_FLAGS = [
  '-Oz',
  // What counts is the size after brotli. A function put into its only caller loses its likeness to
  // others, and so do functions that stand apart from those of their crate.
  ...['--one-caller-inline-max-function-size=0', '--reorder-functions-by-name'],
  ...['--strip-debug', '--strip-producers', '--strip-target-features'],
]

/** Cargo decides what to compile; the rest runs only when its result is new. */
export async function buildWasm() {
  console.log('wasm: compiling the engine for the browser')
  // Before the flags are made: they name the folders that this fills.
  await run('cargo', ['fetch', '--locked', '--target', TARGET], { label: 'cargo fetch' })
  await run(
    'cargo',
    ['build', '--release', '--locked', '--package', 'tidesync', '--lib', '--target', TARGET],
    {
      env: { CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: remapFlags() },
      label: 'cargo build (wasm32)',
    },
  )
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
  const compiled = join(target, TARGET, 'release/tidesync.wasm')
  const stamp = stampOf(compiled)
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp) {
    console.log('wasm: www/pkg is up to date')
    return
  }
  rmSync(PKG, { recursive: true, force: true })
  mkdirSync(PKG, { recursive: true })
  await run('wasm-bindgen', [...BINDGEN_FLAGS, '--out-dir', PKG, compiled])
  console.log('wasm: optimising for size')
  const wasmOpt = join(ROOT, 'node_modules/binaryen/bin/wasm-opt')
  await run(process.execPath, [wasmOpt, ...OPT_FLAGS, '-o', WASM, WASM], { label: 'wasm-opt' })
  writeInline()
  writeFileSync(STAMP, stamp)
}

/** Panic messages hold file names; those of this machine's folders do not belong in what is published. */
function remapFlags() {
  const crates = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'registry/src')
  const sysroot = output('rustc', ['--print', 'sysroot']) ?? ''
  const remaps = [
    ...readdirSync(crates).map((registry) => [join(crates, registry), 'crates']),
    [join(sysroot, 'lib/rustlib/src'), 'rust'],
    [ROOT, 'tidesync'],
  ]
  return remaps.map(([from, to]) => `--remap-path-prefix=${from}=${to}`).join(' ')
}

/** @param {string} compiled */
function stampOf(compiled) {
  const hash = createHash('sha256')
  hash.update(readFileSync(compiled))
  for (const file of [fileURLToPath(import.meta.url), join(ROOT, 'package-lock.json')])
    hash.update(readFileSync(file))
  return hash.digest('hex')
}

function writeInline() {
  const text = readFileSync(WASM).toString('base64')
  writeFileSync(join(PKG, 'inline.js'), `export const base64 = '${text}'\n`)
  writeFileSync(
    join(PKG, 'inline.d.ts'),
    '/** The WebAssembly module of `tidesync_bg.wasm` as base64. */\nexport declare const base64: string\n',
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await script(async () => {
    await setUpBuild()
    await buildWasm()
  })
}
