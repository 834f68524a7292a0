// Dependencies point one way (ARCHITECTURE.md): www → src → engine → protocol, server → protocol.
import { posix } from 'node:path'

/** For each crate of the workspace, the other crates of it that it may use, in tests too. */
const CRATES = {
  'tidesync-protocol': [],
  'tidesync-engine': ['tidesync-protocol'],
  tidesync: ['tidesync-engine', 'tidesync-protocol'],
  'tidesync-server': ['tidesync-protocol'],
  'tidesync-cli': ['tidesync-server', 'tidesync-protocol'],
  // Nothing may use it, and it uses what ships as it is.
  'tidesync-simulation': ['tidesync-engine', 'tidesync-protocol', 'tidesync-server'],
}

/** What the pure crates must not use: clocks, randomness, input and output come from their caller. */
const IMPURE =
  /^(tokio|async-std|web-sys|js-sys|wasm-bindgen|wasm-bindgen-futures|gloo-.*|rand|getrandom|fastrand|reqwest|hyper|axum|rusqlite|chrono|time|instant|web-time|tracing|log)$/
const PURE = ['tidesync-protocol', 'tidesync-engine']

/** @typedef {{ name: string, kind: string | null, path?: string }} Dependency */
/** @typedef {{ name: string, dependencies: readonly Dependency[] }} Package */

/**
 * The wrong edges among crates, as sentences.
 * @param {readonly Package[]} packages of `cargo metadata --no-deps`
 * @returns {string[]}
 */
export function wrongCrateEdges(packages) {
  return packages.flatMap(({ name, dependencies }) => {
    const allowed = /** @type {Record<string, readonly string[] | undefined>} */ (CRATES)[name]
    if (allowed === undefined)
      return [`${name} has no place in the layers: give it one in scripts/lib/layers.mjs`]
    return dependencies
      .filter((dependency) => isWrong(name, allowed, dependency))
      .map((d) => `${name} must not depend on ${d.name}`)
  })
}

/**
 * @param {string} name
 * @param {readonly string[]} allowed
 * @param {Dependency} dependency
 */
function isWrong(name, allowed, dependency) {
  if (dependency.path !== undefined) return !allowed.includes(dependency.name)
  return PURE.includes(name) && dependency.kind !== 'dev' && IMPURE.test(dependency.name)
}

/**
 * Rules among TypeScript modules: a file that matches `from` imports nothing that matches `not`. Paths are from the
 * root; packages are `npm:<name>`.
 * @type {readonly { from: RegExp, not: RegExp, why: string }[]}
 */
const MODULE_RULES = [
  {
    from: /^www\/src\/(?!__tests__\/)/,
    not: /^(www\/demo|tests|crates|scripts|src|dist)\//,
    why: 'the package uses nothing outside itself',
  },
  {
    from: /^www\/src\/(?!__tests__\/|react\.tsx?$|.*\.test\.)/,
    not: /^npm:/,
    why: 'the package has no run-time dependency, and React belongs to react.ts',
  },
  {
    from: /^www\/src\/(?!__tests__\/|engine-module\.ts$|inline\.ts$)/,
    not: /^www\/pkg\//,
    why: 'only the loader knows the WebAssembly',
  },
  {
    from: /^www\/src\/capture\//,
    not: /^www\/src\/(?!capture\/|error|key|values\/|canonical|base64url|events|.*\.test\.)/,
    why: 'capture works before, without and after the engine',
  },
  {
    from: /^www\/src\/(values\/|(error|key|canonical|base64url|events)\.ts$)/,
    not: /^www\/src\/(?!error|key|values\/|canonical|base64url|events|capture\/)/,
    why: 'the codecs know nothing of synchronisation',
  },
  {
    from: /^www\/src\/(?!__tests__\/|index\.ts$|react\.tsx?$|inline\.ts$|.*\.test\.)/,
    not: /^www\/src\/(index|react|inline)(\.|$)/,
    why: 'the entries are on top',
  },
  {
    from: /^www\/demo\//,
    not: /^www\/(src|pkg)\//,
    why: 'the demo uses the package as an app does, by its name',
  },
]

const IMPORT =
  /(?:^|[\s;}])(?:import|export)\s+(?:type\s+)?(?:[\w*{}\s,$]+\s+from\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g

/**
 * The wrong imports of one module, as sentences.
 * @param {string} file path from the root
 * @param {string} source
 * @returns {string[]}
 */
export function wrongImports(file, source) {
  const targets = [...source.matchAll(IMPORT)].map((match) =>
    targetOf(file, match[1] ?? match[2] ?? ''),
  )
  return MODULE_RULES.filter(({ from }) => from.test(file)).flatMap(({ not, why }) =>
    targets
      .filter((target) => not.test(target))
      .map((target) => `${file} must not import ${target}: ${why}`),
  )
}

/**
 * @param {string} file
 * @param {string} specifier
 */
function targetOf(file, specifier) {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(file), specifier)
  return `npm:${specifier}`
}
