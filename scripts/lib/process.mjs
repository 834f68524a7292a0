// Running other programs: their output, their failures, and their end.
import { spawn, spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..')

/** Where the pinned command-line tools of Rust are installed. */
export const TOOLS = join(ROOT, '.tools')

const HEARTBEAT_MS = 30_000

/** A failure that is told to the user as it is, without a stack. */
export class Failure extends Error {}

/** Puts the project's own tools first on the path of everything that is started from here. */
export function addProjectTools() {
  const bins = [join(TOOLS, 'bin'), join(ROOT, 'node_modules', '.bin')]
  const path = process.env.PATH ?? ''
  if (!path.startsWith(bins.join(delimiter))) process.env.PATH = [...bins, path].join(delimiter)
}

/**
 * Runs a program with its output shown, and says every 30 s that it still runs.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: Record<string, string>, cwd?: string, label?: string }} [options]
 * @returns {Promise<void>}
 */
export function run(command, args, options = {}) {
  const started = Date.now()
  const label = options.label ?? [command, ...args].join(' ')
  const child = spawn(command, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const heartbeat = setInterval(() => {
    console.log(`  … ${label}: ${Math.round((Date.now() - started) / 1000)} s so far`)
  }, HEARTBEAT_MS)
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      clearInterval(heartbeat)
      reject(new Failure(`${command} could not be started: ${error.message}`))
    })
    child.once('close', (code, signal) => {
      clearInterval(heartbeat)
      if (code === 0) resolve()
      else reject(new Failure(`${label}: ${signal ?? `exit code ${code}`}`))
    })
  })
}

/**
 * Runs a program and gives what it printed, or undefined when it is missing or fails.
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {string | undefined}
 */
export function output(command, args) {
  const result = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 })
  return result.status === 0 ? result.stdout.trim() : undefined
}

/**
 * Runs a script's main function; a failure is one line and exit code 1.
 * @param {() => Promise<void>} main
 */
export async function script(main) {
  try {
    await main()
  } catch (error) {
    console.error(error instanceof Failure ? `\nerror: ${error.message}` : error)
    process.exitCode = 1
  }
}
