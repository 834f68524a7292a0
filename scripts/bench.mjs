// Measures Tidesync beside its baselines in Chromium.
//   npm run bench [-- --json] [-- --rounds=9] [-- --only=pull]   (writes, push, pull, waits, opening, memory, traffic)
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { ROOT, script } from './lib/process.mjs'
import { setUpBuild } from './setup.mjs'
import { buildWasm } from './wasm.mjs'

await script(async () => {
  await setUpBuild()
  await buildWasm()
  const directory = join(ROOT, 'node_modules/.cache/tidesync')
  mkdirSync(directory, { recursive: true })
  const outfile = join(directory, 'bench.mjs')
  await build({
    absWorkingDir: ROOT,
    entryPoints: ['tests/bench/main.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    // The helper that serves pages finds the repository from where it is.
    define: {
      'import.meta.url': JSON.stringify(pathToFileURL(join(ROOT, 'tests/support/page.ts'))),
    },
    logLevel: 'warning',
  })
  const { main } = await import(pathToFileURL(outfile).href)
  await main(process.argv.slice(2))
})
