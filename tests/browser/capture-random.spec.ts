import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/capture-random')

test.use({ entry: 'tests/browser/fixtures/capture-random.ts' })

/** Seeds to run, each with up to six transactions. */
const PROGRAMS = Number(process.env.CAPTURE_PROGRAMS ?? 120)

test('random programs run as without capture, and their logs replay to what they stored (I1–I4)', async ({
  page,
  origin,
}) => {
  test.setTimeout(300_000)
  const app = await openModule<Fixture>(page, origin)
  const faults = await app.evaluate(async (m, programs) => {
    const found: string[] = []
    for (let seed = 1; seed <= programs && found.length < 3; seed += 1) {
      found.push(...(await m.compare(seed)))
    }
    return found
  }, PROGRAMS)
  expect(faults.join('\n\n')).toBe('')
})
