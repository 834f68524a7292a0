import { randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { LogRow } from '../capture/row'
import { pushBody, type TableKeys, userText, Values } from '../host'

const OUT_OF_LINE: TableKeys = { keyPath: null, autoIncrement: false }

function values(tables: Record<string, TableKeys> = { notes: OUT_OF_LINE }): Values {
  return new Values(new Map(Object.entries(tables)))
}

function row(number: number, parts: Partial<LogRow>): LogRow {
  return { row: number, v: 1, at: 5, inc: 'page', ops: [], json: '', ...parts }
}

/** The wire forms behind slots, as texts. */
function texts(host: Values, slots: number[]): (string | number)[] {
  const { bytes, ends } = host.prepare(Uint32Array.from(slots))
  let start = 0
  return Array.from(ends, (end) => {
    if (end < 0) {
      return end
    }
    const text = new TextDecoder().decode(bytes.slice(start, end))
    start = end
    return text
  })
}

describe('walking log rows', () => {
  it('gives each operation with its key, kind and size, row by row', () => {
    const walked = values().walk(
      'notes',
      [
        row(7, { user: 'ann', ops: [0, 'a', 7, 3, 2, 0], json: '{"n":1}' }),
        row(9, { user: null, ops: [5, null, 0], at: 6 }),
        row(10, { ops: [0, 'b', 4], json: 'true' }),
      ],
      true,
    )
    expect(Array.from(walked.rows)).toEqual([7, 9, 10])
    expect(Array.from(walked.at)).toEqual([5, 6, 5])
    expect(walked.users).toBe('uann\0n\0o')
    expect(Array.from(walked.counts)).toEqual([2, 1, 1])
    expect(Array.from(walked.kinds)).toEqual([0, 1, 3, 0])
    expect(walked.lids).toBe('sa\0n2\0sb')
    expect(Array.from(walked.numbers)).toEqual([7, 0, 0, 4])
  })

  it('tells the bounds of a range and which there are', () => {
    const key = { lower: 3, upper: undefined, lowerOpen: true, upperOpen: false }
    const walked = values().walk('notes', [row(1, { ops: [4, key, 0] })], true)
    expect(walked.lids).toBe('n3\0')
    expect(Array.from(walked.numbers)).toEqual([1 | 4])
  })
})

describe('the wire forms of values', () => {
  it('cuts the texts of a row apart, also beyond ASCII', () => {
    const host = values()
    host.walk('notes', [row(1, { ops: [0, 'a', 4, 0, 'b', 5], json: '"é€""😀!"' })], true)
    host.references(Uint32Array.of(0, 1))
    expect(texts(host, [0, 1])).toEqual(['"é€"', '"😀!"'])
  })

  it('encodes what is not JSON and refuses what has no form, naming the place', () => {
    const host = values()
    host.walk(
      'notes',
      [row(1, { ops: [1, 'a', 0, 1, 'b', 1], typed: [new Date(5), { f: [new Blob(['x'])] }] })],
      true,
    )
    host.references(Uint32Array.of(0, 1))
    const { refusals } = host.prepare(Uint32Array.of(1))
    const [code, path] = refusals.split('\0')
    expect(code).toBe('unsupported-type')
    expect(path).toContain('f')
    expect(texts(host, [0, 1])).toEqual(['["~date",5]', -2])
  })

  it('reads what is logged by its key, and says when the record is gone', () => {
    const host = values()
    const walked = host.walk('notes', [row(1, { ops: [2, 'a', 0, 2, 'b', 0] })], true)
    expect([Array.from(walked.kinds), Array.from(walked.numbers)]).toEqual([
      [4, 4],
      [16_384, 16_384],
    ])
    expect(host.references(Uint32Array.of(0, 1))).toEqual([
      { slot: 0, table: 'notes', key: 'a' },
      { slot: 1, table: 'notes', key: 'b' },
    ])
    host.supply(0, { big: 1 })
    host.supply(1, undefined)
    expect(texts(host, [0, 1])).toEqual(['{"big":1}', -1])
  })

  it('leaves a generated key out of the value: it means nothing on other devices', () => {
    const host = values({ logs: { keyPath: 'meta.id', autoIncrement: true } })
    host.walk(
      'logs',
      [
        row(1, { ops: [0, 4, 26], json: '{"t":"x","meta":{"id":4}}'.padEnd(26) }),
        row(2, { ops: [1, 5, 0], typed: [{ meta: { id: 5 }, at: new Date(1) }] }),
      ],
      true,
    )
    host.references(Uint32Array.of(0, 1))
    expect(texts(host, [0, 1])).toEqual(['{"t":"x","meta":{}}', '{"meta":{},"at":["~date",1]}'])
  })

  it('forgets every value that is not asked for, and takes no such slot for a gone record', () => {
    const host = values()
    host.walk('notes', [row(1, { ops: [0, 'a', 1, 0, 'b', 1], json: '12' })], true)
    host.references(Uint32Array.of(1))
    expect(texts(host, [0, 1])).toEqual([-3, '2'])
  })

  it('keeps no value of rows that are read for their keys alone', () => {
    const host = values()
    const walked = host.walk('notes', [row(1, { ops: [0, 'a', 1], json: '1' })], false)
    expect(walked.lids).toBe('sa')
    host.references(Uint32Array.of(0))
    expect(texts(host, [0])).toEqual([-3])
  })

  it('keeps a page of records by slot', () => {
    const host = values()
    const page = host.scan('notes', ['a', 'b'], [{ n: 1 }, new Map()])
    expect(page.lids).toBe('sa\0sb')
    expect(Array.from(page.numbers)).toEqual([7, 16_384])
    host.references(Uint32Array.of(page.firstSlot, page.firstSlot + 1))
    expect(texts(host, [0, 1])).toEqual(['{"n":1}', '["~map"]'])
  })
})

describe('texts and bodies', () => {
  it('splices each head with its value', () => {
    const host = values()
    host.walk('notes', [row(1, { ops: [0, 'a', 1, 0, 'b', 1], json: '12' })], true)
    host.references(Uint32Array.of(0, 1))
    host.prepare(Uint32Array.of(0, 1))
    const spliced = host.splice('{"op":"1","value":\0{"op":"2","value":', Uint32Array.of(0, 1))
    expect(spliced).toEqual(['{"op":"1","value":1}', '{"op":"2","value":2}'])
  })

  it('refuses to splice a value that it does not have', () => {
    expect(() => values().splice('{', Uint32Array.of(3))).toThrow('no value')
  })

  it('compresses what is worth it', async () => {
    const long = `"${'x'.repeat(2_000)}"`
    const { body, encoding } = await pushBody('{"ops":[', [long, '1'], true)
    expect(encoding).toBe('gzip')
    expect(gunzipSync(Buffer.from(body as ArrayBuffer)).toString()).toBe(`{"ops":[${long},1]}`)
    const random = randomBytes(1_600_000).toString('base64')
    expect(await pushBody('{"ops":[', [`"${random}"`], true)).not.toHaveProperty('encoding')
    expect(await pushBody('{"ops":[', ['1'], true)).toEqual({ body: '{"ops":[1]}' })
    expect(await pushBody('{"ops":[', [long], false)).toEqual({ body: `{"ops":[${long}]}` })
  })

  it('names users so that nobody and the owner are no user', () => {
    expect([userText(undefined), userText(null), userText('n')]).toEqual(['o', 'n', 'un'])
  })
})
