// The package's entries: what `exports` in package.json names is what is built, measured and checked.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, ROOT } from './process.mjs'

/** @typedef {{ name: string, source: string }} Entry An entry's file name in dist, and its source. */

/**
 * All entries that are modules.
 * @returns {Entry[]}
 */
export function entries() {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  return Object.values(manifest.exports)
    .map((target) => /^\.\/dist\/(.+)\.js$/.exec(target.default ?? '')?.[1])
    .filter((name) => name !== undefined)
    .map((name) => ({ name, source: sourceOf(name) }))
}

/**
 * @param {string} name
 * @returns {string}
 */
function sourceOf(name) {
  const found = [`www/src/${name}.ts`, `www/src/${name}.tsx`].find((path) =>
    existsSync(join(ROOT, path)),
  )
  if (found === undefined)
    throw new Failure(`package.json exports ./dist/${name}.js, but there is no www/src/${name}.ts`)
  return found
}
