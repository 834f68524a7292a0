// Fails when a crate or a TypeScript module depends the wrong way.
//   node scripts/layers.mjs
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { wrongCrateEdges, wrongImports } from './lib/layers.mjs'
import { Failure, output, ROOT, script } from './lib/process.mjs'

const FOLDERS = ['www/src', 'www/demo']

await script(async () => {
  const metadata = output('cargo', ['metadata', '--no-deps', '--offline', '--format-version', '1'])
  if (metadata === undefined) throw new Failure('cargo metadata failed')
  const wrong = [
    ...wrongCrateEdges(JSON.parse(metadata).packages),
    ...FOLDERS.flatMap(wrongImportsBelow),
  ]
  if (wrong.length > 0)
    throw new Failure(`dependencies point the wrong way:\n  ${wrong.join('\n  ')}`)
  console.log('layers: every dependency points the right way')
})

/** @param {string} folder */
function wrongImportsBelow(folder) {
  const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => /\.tsx?$/.test(file) && !file.includes('node_modules'))
    .flatMap((file) => {
      const path = `${folder}/${file.replaceAll('\\', '/')}`
      return wrongImports(path, readFileSync(join(ROOT, path), 'utf8'))
    })
}
