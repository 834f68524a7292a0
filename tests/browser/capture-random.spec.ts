import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from '@playwright/test'
import { CHROMIUM_FLAGS, chromiumPath } from '../support/chromium'
import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/capture-random')

test.use({ entry: 'tests/browser/fixtures/capture-random.ts' })

/** Seeds to run, each with up to six transactions. */
const PROGRAMS = Number(process.env.CAPTURE_PROGRAMS ?? 100)
const FIRST_SEED = Number(process.env.CAPTURE_SEED ?? 1)

const BACK_ENDS = [
  { name: 'LevelDB', flags: [], isLevelDb: true },
  {
    name: 'SQLite',
    flags: ['--enable-features=IdbSqliteBackingStore,IdbSqliteOnDiskRollout'],
    isLevelDb: false,
  },
]

for (const { name, flags, isLevelDb } of BACK_ENDS) {
  test(`random programs run as without capture, and their logs replay to what they stored (I1–I4), ${name}`, async ({
    origin,
  }) => {
    test.setTimeout(600_000)
    const profile = await mkdtemp(join(tmpdir(), 'tidesync-profile-'))
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: chromiumPath(),
      args: [...CHROMIUM_FLAGS, ...flags],
    })
    const app = await openModule<Fixture>(await context.newPage(), origin)
    const faults = await app.evaluate(
      async (m, { first, programs }) => {
        const found: string[] = []
        for (let seed = first; seed < first + programs && found.length < 3; seed += 1) {
          found.push(...(await m.compare(seed)))
        }
        return found
      },
      { first: FIRST_SEED, programs: PROGRAMS },
    )
    const folders = await readdir(join(profile, 'Default', 'IndexedDB'))
    await context.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    expect(faults.join('\n\n')).toBe('')
    expect(folders.some((folder) => folder.endsWith('.leveldb'))).toBe(isLevelDb)
  })
}
