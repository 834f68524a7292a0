import { createHash } from 'node:crypto'
import type { JSHandle } from '@playwright/test'
import { BlobBackend } from '../support/blob-backend'
import { openModule } from '../support/page'
import { test as base, expect } from '../support/test'

type Fixture = typeof import('./fixtures/shell')

const test = base.extend<{ backend: BlobBackend }>({
  entry: 'tests/browser/fixtures/shell.ts',
  backend: async ({ origin }, use) => {
    const backend = await BlobBackend.start(origin.url)
    await use(backend)
    await backend.close()
  },
})

const LARGE = 2_500_000
const CHUNK = 1024 * 1024

/** What `large` of {@link stage} holds. */
const LARGE_HASH = createHash('sha256').update(Buffer.alloc(LARGE, 'ab')).digest('base64url')
const SMALL_HASH = createHash('sha256').update('small').digest('base64url')

const WHO = { subject: 'ann', token: 'request', timeoutMs: 20_000 } as const
const PUSH = { type: 'push', batch: 1, first: 0, last: 2, envelope: '{"ops":[', ...WHO } as const
const PULL = { type: 'pull', query: 'limit=2', ...WHO } as const

/** Captures two records with Blobs and stages them as batch 1; gives the texts. */
function stage(app: JSHandle<Fixture>, url: string): Promise<string[]> {
  return app.evaluate(
    async (m, { url, large }) => {
      const db = await m.openTracked('app')
      m.attach(db).user = 'ann'
      const bytes = 'ab'.repeat(large / 2)
      const file = new File(['small'], 'a.txt', { type: 'text/plain', lastModified: 5 })
      await m.inTransaction(db, ['outside', 'injected'], (tx) => {
        tx.objectStore('outside').put({ photo: new Blob([bytes]) }, 'a')
        tx.objectStore('injected').put({ file })
      })
      const engine = new m.PlayedEngine('app', { url })
      const fence = await engine.load()
      const log = await engine.ask({
        type: 'readLog',
        after: ['outside', 'injected'].map((table) => ({ table, row: 0 })),
        ...{ bytesMax: 1_000_000, opsMax: 1_000, values: true },
      })
      if (!('Ok' in log)) throw new Error('the log was not read')
      const { rows } = log.Ok as unknown as { rows: { ops: { slot: number }[] }[] }
      const slots = rows.flatMap(({ ops }) => ops.map(({ slot }) => slot))
      await engine.ask({ type: 'prepare', slots, records: [], pages: [] })
      const texts = slots.map((slot) => ({ is: 'spliced', head: '{"value":', slot }) as const)
      const staged = { type: 'putStaged', batch: 1, state: [0, 0], texts } as const
      await engine.commit(fence, [staged])
      engine.shell.stop()
      const [[, row]] = (await m.entriesOf(db, 'tidesync.staged')) as [
        [unknown, { texts: string[] }],
      ]
      return row.texts
    },
    { url, large: LARGE },
  )
}

test('what is staged keeps its Blobs, and sends them before itself, also after a reload', async ({
  page,
  origin,
  backend,
}) => {
  const staged = await stage(await openModule<Fixture>(page, origin), backend.url)
  expect(staged.map((text) => JSON.parse(text).value)).toEqual([
    { photo: ['~blob', '', LARGE, LARGE_HASH] },
    { file: ['~file', 'a.txt', 5, 'text/plain', 5, SMALL_HASH] },
  ])
  // The record is gone, and its Blob is sent all the same.
  const app = await openModule<Fixture>(page, origin)
  backend.blobs.faults = { 2: Response.json({ code: 'unavailable' }, { status: 503 }) }
  const outcomes = await app.evaluate(
    async (m, { url, push }) => {
      const db = await m.openTracked('app', false)
      await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').clear())
      const engine = new m.PlayedEngine('app', { url })
      await engine.load()
      return [await engine.ask(push), await engine.ask(push), await engine.ask(push)]
    },
    { url: backend.url, push: PUSH },
  )
  expect(outcomes).toMatchObject([
    { is: 'answer', status: 503 },
    { is: 'answer', status: 200 },
    { is: 'answer', status: 200 },
  ])
  expect(backend.blobs.log).toEqual([
    ...['status', 'POST 0'],
    ...['status', `POST ${CHUNK}`, `POST ${2 * CHUNK}`, 'status', 'POST 0', 'push', 'push'],
  ])
  expect(backend.blobs.complete(LARGE_HASH)?.length).toBe(LARGE)
  expect(backend.blobs.complete(SMALL_HASH)?.toString()).toBe('small')
})

test('nothing is staged whose Blobs are not at hand, and its log row stays', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m, hash) => {
    const db = await m.openTracked('app')
    m.attach(db).user = 'ann'
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').put(1, 'a'))
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const texts = [{ is: 'whole', text: `{"value":["~blob","",5,"${hash}"]}` }] as const
    const outcome = await engine.commit(fence, [
      { type: 'putStaged', batch: 1, state: [0, 0], texts },
      { type: 'consumeLog', table: 'outside', first: 1, last: 1 },
    ])
    const staged = await m.entriesOf(db, 'tidesync.staged')
    return { outcome, staged, log: (await m.readLog(db, 'outside')).length }
  }, SMALL_HASH)
  expect(found).toEqual({
    outcome: { Err: { kind: 'other', name: 'blob-missing' } },
    staged: [],
    log: 1,
  })
})

test('what one user has sent is sent again for another', async ({ page, origin, backend }) => {
  await stage(await openModule<Fixture>(page, origin), backend.url)
  const app = await openModule<Fixture>(page, origin)
  await app.evaluate(
    async (m, { url, push, pull }) => {
      await m.openTracked('app', false)
      const engine = new m.PlayedEngine('app', { url })
      await engine.load()
      await engine.ask(push)
      await engine.ask({ ...pull, subject: 'bob' })
      await engine.ask({ ...push, subject: 'bob' })
    },
    { url: backend.url, push: PUSH, pull: PULL },
  )
  const rest = backend.blobs.log.slice(backend.blobs.log.indexOf('push'))
  expect(rest).toEqual(['push', 'pull', 'status', 'status', 'push'])
})

test('what is pulled brings its Blobs before it is told, and is put with them', async ({
  page,
  origin,
  backend,
}) => {
  const hash = backend.blobs.store(Buffer.alloc(LARGE, 'cd'))
  const changes = [
    { space: '~', value: { photo: ['~blob', 'image/png', LARGE, hash] } },
    { space: '~', value: { name: 'a', files: ['~set', ['~file', 'b', 7, '', LARGE, hash]] } },
    { space: 'team', value: ['~blob', '', 3, SMALL_HASH] },
  ]
  backend.body = JSON.stringify({ changes })
  const later = Response.json({ code: 'unavailable' }, { status: 503 })
  backend.blobs.faults = { 1: 'damaged', 4: later }
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(
    async (m, { url, pull }) => {
      const db = await m.openTracked('app')
      const engine = new m.PlayedEngine('app', { url })
      const fence = await engine.load()
      const outcomes: unknown[] = []
      for (let time = 0; time < 3; time += 1) outcomes.push(await engine.ask(pull))
      const put = (index: number, lid: string) =>
        ({ type: 'putRecord', table: 'outside', lid, value: { is: 'pulled', index } }) as const
      const committed = await engine.commit(fence, [put(0, 'sa'), put(1, 'sb')])
      const [[, one], [, two]] = (await m.entriesOf(db, 'outside')) as [
        [unknown, { photo: Blob }],
        [unknown, { files: Set<File> }],
      ]
      const file = [...two.files][0]
      return {
        outcomes,
        committed,
        photo: [one.photo.type, one.photo.size, await one.photo.slice(0, 4).text()],
        file: [file instanceof File, file?.name, file?.lastModified, file?.size],
        log: await m.readLog(db, 'outside'),
      }
    },
    { url: backend.url, pull: PULL },
  )
  expect(found).toMatchObject({
    outcomes: [
      { is: 'failed', failure: 'network' },
      { is: 'answer', status: 503 },
      { is: 'answer', status: 200, body: backend.body },
    ],
    committed: { Ok: null },
    photo: ['image/png', LARGE, 'cdcd'],
    file: [true, 'b', 7, LARGE],
    log: [],
  })
  // Damaged: from the start. Broken off: from where it was.
  expect(backend.blobs.log).toEqual([
    ...['pull', 'GET 0', `GET ${CHUNK}`, `GET ${2 * CHUNK}`],
    ...['pull', 'GET 0'],
    ...['pull', `GET ${CHUNK}`, `GET ${2 * CHUNK}`],
  ])
})
