// Known vulnerabilities in crates and npm packages. It downloads advisories, so it is no part of `npm test`.
//   node scripts/audit.mjs
import { npm } from './lib/npm.mjs'
import { addProjectTools, run, script } from './lib/process.mjs'
import { ensureCargoDeny, ensureRust } from './lib/rust.mjs'

await script(async () => {
  addProjectTools()
  await ensureRust()
  await ensureCargoDeny()
  await run('cargo-deny', ['--workspace', 'check', 'advisories'])
  await npm(['audit', '--omit=optional'])
})
