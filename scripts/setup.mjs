// Installs what the other commands need and skips what is there. No dependencies: it runs first.
//   node scripts/setup.mjs
import { fileURLToPath } from 'node:url'
import { ensureChromium } from './lib/chromium.mjs'
import { ensurePackages } from './lib/npm.mjs'
import { addProjectTools, script } from './lib/process.mjs'
import { ensureCargoDeny, ensureRust, ensureWasmBindgen, ensureWasmPack } from './lib/rust.mjs'

/** What `npm run build` and `npm start` need. */
export async function setUpBuild() {
  addProjectTools()
  await ensurePackages()
  await ensureRust()
  await ensureWasmBindgen()
}

/** What `npm test` needs. */
export async function setUpTests() {
  await setUpBuild()
  // The browser first: it is quick to fail where it cannot be had, the tools take minutes.
  await ensureChromium()
  await ensureWasmPack()
  await ensureCargoDeny()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await script(async () => {
    await setUpTests()
    console.log('setup: everything is there')
  })
}
