// Sets up and runs every check, quick ones first. A group stops at its first failure; the other groups still run.
//   node scripts/test.mjs [group …]
import { basename } from 'node:path'
import { build } from './build.mjs'
import { npm } from './lib/npm.mjs'
import { Failure, ROOT, run, script } from './lib/process.mjs'
import { setUpTests } from './setup.mjs'
import { buildWasm } from './wasm.mjs'

const NODE = process.execPath
const WASM32 = ['--target', 'wasm32-unknown-unknown']
const DENY_WARNINGS = ['--', '-D', 'warnings']

/** @typedef {{ name: string, run: () => Promise<void> }} Step */
/** @typedef {'passed' | 'failed' | 'skipped'} Outcome */
/** @typedef {{ name: string, outcome: Outcome, seconds: number }} Result */

/**
 * A step that runs one program.
 * @param {string} name
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Record<string, string>} [env]
 * @returns {Step}
 */
function step(name, command, args, env = {}) {
  return {
    name,
    run: () => run(command, args, { env, label: [basename(command), ...args].join(' ') }),
  }
}

/**
 * A step that runs a program of an npm package.
 * @param {string} name
 * @param {string} entry
 * @param {readonly string[]} args
 */
function tool(name, entry, args) {
  return step(name, NODE, [`${ROOT}/node_modules/${entry}`, ...args])
}

/** @param {string} project */
function playwright(project) {
  return ['test', `--project=${project}`]
}

/** @type {Record<string, readonly Step[]>} */
const GROUPS = {
  format: [
    step('Rust format', 'cargo', ['fmt', '--all', '--check']),
    tool('TypeScript format and lint', '@biomejs/biome/bin/biome', [
      'ci',
      '--error-on-warnings',
      '.',
    ]),
    step('Direction of dependencies', NODE, ['scripts/layers.mjs']),
    step('Licences, bans and sources of crates', 'cargo-deny', [
      ...['--workspace', '--log-level', 'error', '--locked'],
      ...['check', 'bans', 'licenses', 'sources'],
    ]),
  ],
  types: [
    { name: 'WebAssembly build', run: buildWasm },
    { name: 'TypeScript types', run: () => npm(['run', '--silent', 'typecheck']) },
    step('Clippy', 'cargo', [
      'clippy',
      '--workspace',
      '--all-targets',
      '--locked',
      ...DENY_WARNINGS,
    ]),
    step('Clippy for the browser', 'cargo', [
      ...['clippy', '--package', 'tidesync', '--all-targets', '--locked', ...WASM32],
      ...DENY_WARNINGS,
    ]),
  ],
  unit: [
    tool('TypeScript unit tests', 'vitest/vitest.mjs', ['run']),
    step('Rust tests', 'cargo', ['test', '--workspace', '--locked']),
    step('Simulation with bugs planted', NODE, ['scripts/simulate.mjs', '--planted']),
    step('Simulation of fixed seeds', NODE, ['scripts/simulate.mjs', '--hours', '12000']),
    step('Engine on WebAssembly', 'wasm-pack', ['test', '--node', 'crates/engine', '--locked']),
  ],
  package: [
    { name: 'Package build', run: build },
    step('Package size', NODE, ['scripts/size.mjs', '--no-build']),
    tool('Package in its consumers', '@playwright/test/cli.js', playwright('package')),
  ],
  browser: [
    step('Judge of keys and values', 'cargo', [
      ...['build', '--package', 'tidesync-protocol', '--example', 'judge', '--locked'],
    ]),
    tool('Capture in Chromium', '@playwright/test/cli.js', playwright('browser')),
    step('Browser shell in Chromium', 'wasm-pack', ['test', '--headless', '--chrome', '--locked'], {
      WASM_BINDGEN_TEST_TIMEOUT: '120',
    }),
  ],
  'end-to-end': [
    step('Server build', 'cargo', ['build', '--package', 'tidesync-cli', '--locked']),
    step('Tools for its database', 'cargo', [
      ...['build', '--package', 'tidesync-server', '--examples', '--locked'],
    ]),
    { name: 'WebAssembly build', run: buildWasm },
    tool('End to end in Chromium', '@playwright/test/cli.js', playwright('e2e')),
  ],
}

/**
 * @param {string} group
 * @param {readonly Step[]} steps
 * @returns {Promise<Result[]>}
 */
async function runGroup(group, steps) {
  /** @type {Result[]} */
  const results = []
  let failed = false
  for (const { name, run: body } of steps) {
    const title = `${group}: ${name}`
    if (failed) {
      results.push({ name: title, outcome: 'skipped', seconds: 0 })
      continue
    }
    const result = await runStep(title, body)
    failed = result.outcome === 'failed'
    results.push(result)
  }
  return results
}

/**
 * @param {string} name
 * @param {() => Promise<void>} body
 * @returns {Promise<Result>}
 */
async function runStep(name, body) {
  console.log(`\n=== ${name}`)
  const started = Date.now()
  const seconds = () => Math.round((Date.now() - started) / 1000)
  try {
    await body()
    console.log(`=== ${name}: passed in ${seconds()} s`)
    return { name, outcome: 'passed', seconds: seconds() }
  } catch (error) {
    console.error(error instanceof Failure ? error.message : error)
    console.error(`=== ${name}: FAILED after ${seconds()} s`)
    return { name, outcome: 'failed', seconds: seconds() }
  }
}

/** @param {readonly Result[]} results */
function report(results) {
  console.log('\n=== All steps')
  for (const { name, outcome, seconds } of results) {
    console.log(`  ${outcome.padEnd(8)} ${String(seconds).padStart(5)} s  ${name}`)
  }
  const count = (/** @type {Outcome} */ outcome) =>
    results.filter((result) => result.outcome === outcome).length
  const skipped = count('skipped') > 0 ? `, ${count('skipped')} skipped` : ''
  console.log(`${count('passed')} passed, ${count('failed')} failed${skipped}`)
  if (count('failed') > 0) process.exitCode = 1
}

await script(async () => {
  const chosen = process.argv.slice(2)
  const unknown = chosen.find((name) => !(name in GROUPS))
  if (unknown !== undefined) {
    throw new Failure(`there is no group "${unknown}"; there are ${Object.keys(GROUPS).join(', ')}`)
  }
  const results = [await runStep('set-up', setUpTests)]
  if (results[0]?.outcome === 'passed') {
    for (const [group, steps] of Object.entries(GROUPS)) {
      if (chosen.length === 0 || chosen.includes(group))
        results.push(...(await runGroup(group, steps)))
    }
  }
  report(results)
})
