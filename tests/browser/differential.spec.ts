import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readVectors, type ValueVectors } from '../../www/src/__tests__/vectors'
import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/differential')

const ROOT = join(fileURLToPath(import.meta.url), '../../..')
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
const JUDGE = join(TARGET, 'debug/examples/judge')

const PAIRS = 1_000_000
const PAIRS_AT_A_TIME = 50_000
const TEXTS = 100_000
const TEXTS_AT_A_TIME = 10_000

test.use({ entry: 'tests/browser/fixtures/differential.ts' })

/** What Rust makes of texts (`crates/protocol/examples/judge.rs`). */
async function judge(what: 'keys' | 'values', texts: string): Promise<string> {
  const child = spawn(JUDGE, [what], { stdio: ['pipe', 'pipe', 'inherit'] })
  const out: Buffer[] = []
  child.stdout.on('data', (data: Buffer) => out.push(data))
  const ended = once(child, 'close')
  child.stdin.end(texts)
  expect(await ended).toEqual([0, null])
  return Buffer.concat(out).toString('latin1')
}

test(`${PAIRS} pairs of random keys have the order of IndexedDB in Rust`, async ({
  page,
  origin,
}) => {
  test.setTimeout(300_000)
  const app = await openModule<Fixture>(page, origin)
  const counts = new Map<string, number>()
  for (let done = 0; done < PAIRS; done += PAIRS_AT_A_TIME) {
    const args = [1 + done, PAIRS_AT_A_TIME] as const
    const { texts, letters } = await app.evaluate((m, args) => m.comparedKeys(...args), args)
    const judged = await judge('keys', texts)
    if (judged !== letters) {
      const wrong = [...letters].findIndex((letter, at) => letter !== judged[at])
      const pair = texts.split('\0').slice(2 * wrong, 2 * wrong + 2)
      expect([...pair, judged[wrong]]).toEqual([...pair, letters[wrong]])
    }
    for (const letter of letters) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  }
  // Keys that are equal are not rare among them.
  for (const letter of 'LEG') expect(counts.get(letter)).toBeGreaterThan(PAIRS / 50)
  expect(await app.evaluate((m) => m.samplesComeBack())).toEqual([])
})

test(`of ${TEXTS} texts that are nearly values the browser reads what Rust has taken`, async ({
  page,
  origin,
}) => {
  test.setTimeout(300_000)
  const app = await openModule<Fixture>(page, origin)
  let taken = 0
  for (let done = 0; done < TEXTS; done += TEXTS_AT_A_TIME) {
    const args = [1 + done, TEXTS_AT_A_TIME] as const
    const read = await app.evaluate((m, args) => m.readTexts(...args), args)
    const lines = (await judge('values', read.map(({ text }) => `${text}\0`).join(''))).split('\n')
    const wrong = read.filter(({ canonical, again, thrown }, at) => {
      const judged = lines[at]
      if (thrown !== undefined) return true
      if (judged === '') return false
      taken += 1
      // What this browser lacks, or a size in another spelling, is no other value.
      if (canonical === 'unsupported-type' || canonical === 'blob-missing') return false
      return canonical !== judged || again !== judged
    })
    expect(wrong).toEqual([])
  }
  expect(taken).toBeGreaterThan(TEXTS / 10)
})

test('the forms of what only browsers have are those of the vectors', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const { browser } = readVectors<ValueVectors>('values.json')
  const forms = await app.evaluate((m) => m.platformForms())
  expect(forms).toEqual(browser.map(({ name, wire }) => ({ name, json: wire, same: true })))
})
