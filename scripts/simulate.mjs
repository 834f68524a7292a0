// Runs devices, a network that fails and the server's core in virtual time, and checks every event.
//   npm run simulate -- --hours 1000 [--seed S]
//   npm run simulate -- --seed S [--log]
//   npm run simulate -- --planted [NAME]
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { output, run, script } from './lib/process.mjs'

const BUILD = ['build', '--profile', 'native', '--package', 'tidesync-simulation', '--locked']

await script(async () => {
  await run('cargo', BUILD)
  const jobs = ['--jobs', String(availableParallelism())]
  const args = process.argv.slice(2)
  await run(join(targetDirectory(), 'native', 'simulate'), [...jobs, ...args], {
    label: 'simulate',
  })
})

/** Where cargo puts what it builds. */
function targetDirectory() {
  const metadata = output('cargo', ['metadata', '--no-deps', '--offline', '--format-version', '1'])
  return JSON.parse(metadata ?? '{}').target_directory ?? 'target'
}
