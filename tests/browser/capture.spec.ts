import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/capture')

test.use({ entry: 'tests/browser/fixtures/capture.ts' })

test('a write and its log row commit together', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const end = await m.inTransaction(db, ['inline', 'outside'], (tx) => {
      tx.objectStore('inline').put({ id: 1, text: 'one' })
      tx.objectStore('inline').add({ id: 2, text: 'two' })
      tx.objectStore('outside').put({ n: 1 }, 'key')
      tx.objectStore('inline').delete(1)
    })
    return {
      end,
      inline: await m.readOperations(db, 'inline'),
      outside: await m.readOperations(db, 'outside'),
      rows: (await m.readLog(db, 'inline')).length,
    }
  })
  expect(result).toEqual({
    end: 'complete',
    inline: [
      { kind: 0, key: 1, value: { id: 1, text: 'one' } },
      { kind: 0, key: 2, value: { id: 2, text: 'two' } },
      { kind: 3, key: 1 },
    ],
    outside: [{ kind: 0, key: 'key', value: { n: 1 } }],
    rows: 2,
  })
})
