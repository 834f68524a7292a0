// The packages of package-lock.json.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, ROOT, run } from './process.mjs'

const OLDEST_NODE = [20, 19]

/** @typedef {{ version?: string, optional?: boolean, dev?: boolean }} LockedPackage */

/** Installs exactly what the lock file says, without running install scripts; skipped when it is there. */
export async function ensurePackages() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Failure(
      `Node ${process.versions.node} is too old: ${OLDEST_NODE.join('.')} or newer is needed`,
    )
  }
  if (isInstalled()) return
  console.log('setup: installing npm packages')
  await npm(['ci', '--ignore-scripts', '--no-audit', '--no-fund'])
}

/**
 * Runs npm: the one that runs this script, if there is one.
 * @param {readonly string[]} args
 * @param {{ cwd?: string }} [options]
 */
export async function npm(args, options = {}) {
  const cli = process.env.npm_execpath
  const label = `npm ${args.join(' ')}`
  if (cli?.endsWith('.js')) await run(process.execPath, [cli, ...args], { ...options, label })
  else await run('npm', args, { ...options, label })
}

/** npm keeps a lock file of what it installed: compared with ours, package by package. */
function isInstalled() {
  const hidden = join(ROOT, 'node_modules', '.package-lock.json')
  if (!existsSync(hidden)) return false
  const wanted = packagesOf(join(ROOT, 'package-lock.json'))
  const present = packagesOf(hidden)
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '') return true
    if (present[path] === undefined) return optional === true
    return present[path].version === version && existsSync(join(ROOT, path, 'package.json'))
  })
}

/**
 * @param {string} file
 * @returns {Record<string, LockedPackage>}
 */
function packagesOf(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages
}
