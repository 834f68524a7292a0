// The pinned Rust toolchain, its WebAssembly target, and the tools that cargo installs.
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { Failure, output, ROOT, run, TOOLS } from './process.mjs'

const TARGET = 'wasm32-unknown-unknown'
const RUSTUP_HINT = 'install Rust with rustup (https://rustup.rs), then run this again'

/** Tools besides wasm-bindgen-cli, whose version is that of the library in Cargo.lock. */
const VERSIONS = { 'wasm-pack': '0.15.1', 'cargo-deny': '0.20.2' }

/** The toolchain of rust-toolchain.toml, or the same version under another name, with the wasm target. */
export async function ensureRust() {
  findRustupHome()
  if (output('rustup', ['--version']) === undefined)
    throw new Failure(`rustup is missing: ${RUSTUP_HINT}`)
  await ensureToolchain(pinnedChannel())
  const installed = output('rustup', ['target', 'list', '--installed']) ?? ''
  if (installed.split(/\s+/).includes(TARGET)) return
  console.log(`setup: adding the Rust target ${TARGET} (up to a minute without output)`)
  await run('rustup', ['target', 'add', TARGET])
}

/** wasm-bindgen's command line, of exactly the version that the code is linked with. */
export async function ensureWasmBindgen() {
  // Its own lock file at this version names yanked crates, hence not --locked.
  await ensureTool('wasm-bindgen-cli', 'wasm-bindgen', wasmBindgenVersion(), [])
}

/** The test driver for WebAssembly. */
export async function ensureWasmPack() {
  await ensureTool('wasm-pack', 'wasm-pack', VERSIONS['wasm-pack'], ['--locked'])
}

/** The check of dependencies' licences and sources. */
export async function ensureCargoDeny() {
  await ensureTool('cargo-deny', 'cargo-deny', VERSIONS['cargo-deny'], ['--locked'])
}

/** With another HOME, rustup looks in the wrong place; the toolchains stand beside its own programs. */
function findRustupHome() {
  if (process.env.RUSTUP_HOME !== undefined) return
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (!existsSync(join(folder, 'rustup'))) continue
    const beside = join(dirname(dirname(folder)), '.rustup')
    if (output('rustup', ['show', 'home']) !== beside && existsSync(join(beside, 'toolchains'))) {
      process.env.RUSTUP_HOME = beside
    }
    return
  }
}

function pinnedChannel() {
  const text = readFileSync(join(ROOT, 'rust-toolchain.toml'), 'utf8')
  const channel = /^channel = "(.+)"$/m.exec(text)?.[1]
  if (channel === undefined) throw new Failure('rust-toolchain.toml names no channel')
  return channel
}

/** @param {string} version */
async function ensureToolchain(version) {
  const names = (output('rustup', ['toolchain', 'list']) ?? '')
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
  if (names.some((name) => name === version || name.startsWith(`${version}-`))) return
  const same = names.find(
    (name) => name !== '' && output('rustc', [`+${name}`, '--version'])?.includes(` ${version} `),
  )
  if (same !== undefined) {
    console.log(`setup: using the installed toolchain ${same}, which is Rust ${version}`)
    process.env.RUSTUP_TOOLCHAIN = same
    return
  }
  console.log(`setup: installing Rust ${version}`)
  const components = ['--profile', 'minimal', '--component', 'clippy', '--component', 'rustfmt']
  await run('rustup', ['toolchain', 'install', version, ...components, '--target', TARGET])
}

function wasmBindgenVersion() {
  const lock = readFileSync(join(ROOT, 'Cargo.lock'), 'utf8')
  const version = /name = "wasm-bindgen"\nversion = "(.+)"/.exec(lock)?.[1]
  if (version === undefined) throw new Failure('Cargo.lock names no wasm-bindgen')
  return version
}

/**
 * @param {string} crate
 * @param {string} program
 * @param {string} version
 * @param {readonly string[]} flags
 */
async function ensureTool(crate, program, version, flags) {
  const found = output(join(TOOLS, 'bin', program), ['--version'])
  if (found?.split(/\s+/).includes(version)) return
  console.log(`setup: building ${crate} ${version} (once, 3 to 5 minutes)`)
  await run('cargo', ['install', '--root', TOOLS, crate, '--version', version, ...flags], {
    label: `cargo install ${crate}`,
  })
}
