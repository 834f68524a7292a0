import { describe, expect, it } from 'vitest'
import type { LogRow } from '../capture/row'
import { hashBlobs } from '../shell/blob-lane'
import type { TableKeys } from '../shell/connection'
import { rowUser, Slots } from '../shell/slots'

const OUT_OF_LINE: TableKeys = { keyPath: null, autoIncrement: false }
const GENERATED: TableKeys = { keyPath: 'meta.id', autoIncrement: true }

function slots(tables: Record<string, TableKeys> = { notes: OUT_OF_LINE }): Slots {
  return new Slots((table) => tables[table])
}

function row(number: number, parts: Partial<LogRow>): LogRow {
  return { row: number, v: 1, at: 5, inc: 'page', ops: [], json: '', ...parts }
}

/** The wire forms behind slots, as texts; what is none as it is told. */
async function forms(from: Slots, wanted: number[], records: Parameters<Slots['prepare']>[1] = []) {
  const { bytes, values } = await from.prepare(wanted, records, hashBlobs)
  let start = 0
  return values.map((value) => {
    if (value.is !== 'wire') return value
    const text = new TextDecoder().decode(bytes.slice(start, value.end))
    start = value.end
    return text
  })
}

describe('walking log rows', () => {
  it('gives each operation with its key, kind and size', () => {
    const stored = row(7, { user: 'ann', ops: [0, 'a', 7, 3, 2, 0, 5, null, 0], json: '{"n":1}' })
    expect(slots().walk('notes', stored, true)).toEqual({
      table: 'notes',
      row: 7,
      atMs: 5,
      user: { user: 'ann' },
      ops: [
        { kind: 'put', lid: 'sa', slot: 0, bytes: 7, reference: false },
        { kind: 'delete', lid: 'n2' },
        { kind: 'clear' },
      ],
    })
  })

  it('leaves out what has a key without a text, tells of it, and gives the rest its values', async () => {
    let deep: IDBValidKey = [1]
    for (let level = 0; level < 64; level += 1) deep = [deep]
    const range = { lower: deep, upper: undefined, lowerOpen: false, upperOpen: false }
    const left: string[] = []
    const from = new Slots(
      () => OUT_OF_LINE,
      (table) => left.push(table),
    )
    const ops = [0, deep, 2, 0, 'a', 7, 2, deep, 0, 3, deep, 0, 4, range, 0]
    const stored = row(7, { ops, json: '22{"n":1}' })
    expect(from.walk('notes', stored, false).ops).toMatchObject([{ kind: 'put', lid: 'sa' }])
    expect(left).toEqual([])
    expect(from.walk('notes', stored, true).ops).toMatchObject([
      { kind: 'put', lid: 'sa', slot: 0 },
    ])
    expect(left).toEqual(['notes', 'notes', 'notes', 'notes'])
    expect(await forms(from, [0])).toEqual(['{"n":1}'])
    expect(from.scan('notes', [deep, 'b'], [1, 2])).toMatchObject([{ lid: 'sb' }])
    expect(left).toHaveLength(5)
  })

  it('tells the bounds of a range and which there are', () => {
    const key = { lower: 3, upper: undefined, lowerOpen: true, upperOpen: false }
    expect(slots().walk('notes', row(1, { ops: [4, key, 0] }), true).ops).toEqual([
      { kind: 'deleteRange', lower: 'n3', upper: null, lowerOpen: true, upperOpen: false },
    ])
  })

  it('names users so that nobody and the owner are no user', () => {
    expect([undefined, null, 'nobody'].map(rowUser)).toEqual([
      'owner',
      'nobody',
      { user: 'nobody' },
    ])
  })

  it('keeps no value of rows that are read for their keys alone', async () => {
    const from = slots()
    from.walk('notes', row(1, { ops: [0, 'a', 1], json: '1' }), false)
    from.references([0])
    await expect(from.prepare([0], [], hashBlobs)).rejects.toThrow()
  })
})

describe('the wire forms of values', () => {
  it('cuts the texts of a row apart, also beyond ASCII', async () => {
    const from = slots()
    from.walk('notes', row(1, { ops: [0, 'a', 4, 0, 'b', 5], json: '"é€""😀!"' }), true)
    from.references([0, 1])
    expect(await forms(from, [0, 1])).toEqual(['"é€"', '"😀!"'])
  })

  it('encodes what is not JSON and refuses what has no form, naming the place', async () => {
    const from = slots()
    const typed = [new Date(5), { f: [() => 1] }]
    from.walk('notes', row(1, { ops: [1, 'a', 0, 1, 'b', 1], typed }), true)
    from.references([0, 1])
    const refused = { is: 'unsendable', code: 'unsupported-type', path: '$.f[0]: function' }
    expect(await forms(from, [0, 1])).toEqual(['["~date",5]', refused])
  })

  it('hashes the Blobs of those values that have some', async () => {
    const from = slots()
    const typed = [new Date(5), { photo: new Blob(['abc']) }]
    from.walk('notes', row(1, { ops: [1, 'a', 0, 1, 'b', 1], typed }), true)
    from.references([0, 1])
    const hashed: unknown[] = []
    const { values } = await from.prepare([0, 1], [], (all) => {
      hashed.push(...all)
      return hashBlobs(all)
    })
    expect(values.map(({ is }) => is)).toEqual(['wire', 'wire'])
    expect(hashed).toEqual([typed[1]])
    const hash = 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0'
    expect(from.splice('', 1)).toBe(`{"photo":["~blob","",3,"${hash}"]}}`)
  })

  it('reads what is logged by its key, and says when the record is gone', async () => {
    const from = slots()
    const { ops } = from.walk('notes', row(1, { ops: [2, 'a', 0, 2, 'b', 0] }), true)
    expect(ops).toMatchObject([
      { slot: 0, bytes: 16_384, reference: true },
      { slot: 1, bytes: 16_384, reference: true },
    ])
    const [one, other] = from.references([0, 1])
    expect([one, other]).toEqual([
      { slot: 0, table: 'notes', key: 'a' },
      { slot: 1, table: 'notes', key: 'b' },
    ])
    if (one !== undefined) from.supply(one, { big: 1 })
    if (other !== undefined) from.supply(other, undefined)
    expect(await forms(from, [0, 1])).toEqual(['{"big":1}', { is: 'gone' }])
  })

  it('gives the records that were asked for after the slots', async () => {
    const from = slots()
    from.walk('notes', row(1, { ops: [0, 'a', 1], json: '1' }), true)
    from.references([0])
    const records = [
      { table: 'notes', value: { n: new Date(1) } },
      { table: 'notes', value: undefined },
    ]
    expect(await forms(from, [0], records)).toEqual(['1', '{"n":["~date",1]}', { is: 'gone' }])
  })

  it('leaves a generated key out of the value: it means nothing on other devices', async () => {
    const from = slots({ logs: GENERATED })
    const json = '{"t":"x","meta":{"id":4}}'
    from.walk('logs', row(1, { ops: [0, 4, json.length], json }), true)
    from.walk(
      'logs',
      row(2, { ops: [1, 5, 0], typed: [{ meta: { id: 5 }, at: new Date(1) }] }),
      true,
    )
    from.references([0, 1])
    const record = { table: 'logs', value: { meta: { id: 6 } } }
    expect(await forms(from, [0, 1], [record])).toEqual([
      '{"t":"x","meta":{}}',
      '{"meta":{},"at":["~date",1]}',
      '{"meta":{}}',
    ])
    expect(record.value).toEqual({ meta: { id: 6 } })
  })

  it('forgets every value that is not asked for, and takes no such slot for a gone record', async () => {
    const from = slots()
    from.walk('notes', row(1, { ops: [0, 'a', 1, 0, 'b', 1], json: '12' }), true)
    from.references([1])
    expect(await forms(from, [1])).toEqual(['2'])
    await expect(from.prepare([0], [], hashBlobs)).rejects.toThrow()
  })

  it('keeps a page of records by slot', async () => {
    const from = slots()
    expect(from.scan('notes', ['a', 'b'], [{ n: 1 }, new Map()])).toEqual([
      { lid: 'sa', slot: 0, bytes: 7 },
      { lid: 'sb', slot: 1, bytes: 16_384 },
    ])
    from.references([0, 1])
    expect(await forms(from, [0, 1])).toEqual(['{"n":1}', '["~map"]'])
  })
})

describe('texts of operations', () => {
  it('splices a head with its value', async () => {
    const from = slots()
    from.walk('notes', row(1, { ops: [0, 'a', 1, 0, 'b', 1], json: '12' }), true)
    from.references([0, 1])
    await forms(from, [0, 1])
    expect(from.splice('{"op":"1","value":', 1)).toBe('{"op":"1","value":2}')
  })

  it('refuses to splice a value that it does not have', () => {
    expect(() => slots().splice('{', 3)).toThrow()
  })
})
