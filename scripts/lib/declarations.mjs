// Type declarations for the package: emitted by tsc, then only those that the entries reach, with full specifiers.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { Failure, ROOT, run } from './process.mjs'

const SPECIFIER = /(from\s+|import\s+|import\()(['"])(\.{1,2}\/[^'"]+)\2/g

/**
 * Writes `<entry>.d.ts` and what it reaches.
 * @param {readonly string[]} names entries without extension
 * @param {string} out
 */
export async function writeDeclarations(names, out) {
  const emitted = mkdtempSync(join(tmpdir(), 'tidesync-declarations-'))
  try {
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const flags = [
      '--noEmit',
      'false',
      '--emitDeclarationOnly',
      '--stripInternal',
      '--rootDir',
      join(ROOT, 'www/src'),
    ]
    await run(process.execPath, [tsc, '-p', join(ROOT, 'www/src'), ...flags, '--outDir', emitted], {
      label: 'tsc',
    })
    copyReachable(
      names.map((name) => join(emitted, `${name}.d.ts`)),
      emitted,
      out,
    )
  } finally {
    rmSync(emitted, { recursive: true })
  }
}

/**
 * @param {string[]} queue
 * @param {string} from
 * @param {string} to
 */
function copyReachable(queue, from, to) {
  const seen = new Set(queue)
  for (const file of seen) {
    const text = readFileSync(file, 'utf8').replace(SPECIFIER, (_, lead, quote, specifier) => {
      const target = resolveDeclaration(dirname(file), specifier)
      if (target === undefined || relative(from, target).startsWith('..'))
        throw new Failure(
          `${relative(from, file)} names ${specifier}, which is not part of the package`,
        )
      seen.add(target)
      return `${lead}${quote}${specifierOf(file, target)}${quote}`
    })
    const copy = join(to, relative(from, file))
    mkdirSync(dirname(copy), { recursive: true })
    writeFileSync(copy, text)
  }
}

/**
 * @param {string} folder
 * @param {string} specifier
 */
function resolveDeclaration(folder, specifier) {
  const base = join(folder, specifier.replace(/\.(js|ts|tsx)$/, ''))
  return [`${base}.d.ts`, join(base, 'index.d.ts')].find((path) => existsSync(path))
}

/**
 * With the extension and the index spelled out, as Node's own resolution wants them.
 * @param {string} file
 * @param {string} target
 */
function specifierOf(file, target) {
  const path = relative(dirname(file), target)
    .replaceAll('\\', '/')
    .replace(/\.d\.ts$/, '.js')
  return path.startsWith('.') ? path : `./${path}`
}
