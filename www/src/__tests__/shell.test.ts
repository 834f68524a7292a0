import { randomBytes } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { Beside, cut, inputJson } from '../shell/beside'
import { Blobs } from '../shell/blobs'
import { Budget } from '../shell/budget'
import { appRecord, appValue, checkKey, PulledChanges } from '../shell/records'
import { EventReader } from '../shell/stream'
import { pushBody } from '../shell/transport'

describe('what crosses to WebAssembly', () => {
  it('puts bytes beside the JSON, in one piece', () => {
    const beside = new Beside()
    const places = [[1, 2], [], [3]].map((bytes) => beside.add(Uint8Array.from(bytes)))
    expect(places).toEqual([
      [0, 2],
      [2, 0],
      [2, 1],
    ])
    const bytes = beside.join()
    expect(Array.from(bytes)).toEqual([1, 2, 3])
    expect(places.map((place) => Array.from(cut(bytes, place)))).toEqual([[1, 2], [], [3]])
    expect(new Beside().join()).toHaveLength(0)
  })

  it('has no lone surrogates, which Rust has no texts for', () => {
    const texts = ['\ud800\udfff', '\ud800', 'a\udc00\udc00b', '\\ud800', '\\\ud800', '\\\\ud800']
    expect(JSON.parse(inputJson(texts))).toEqual([
      '\ud800\udfff',
      '\ufffd',
      'a\ufffd\ufffdb',
      '\\ud800',
      '\\\ufffd',
      '\\\\ud800',
    ])
  })
})

describe('a budget of a read', () => {
  it('reads at most twice as many rows as before, and no more than it can pay', () => {
    const budget = new Budget(1_000, 50)
    budget.take(40, 4)
    expect(budget.nextRead(4, 40)).toBe(8)
    expect(budget.nextRead(4, 1_600)).toBe(2)
    expect(budget.nextRead(4, 400_000)).toBe(1)
    expect(budget.nextRead(4_000, 1)).toBe(960)
    expect([budget.itemsLeft, budget.isSpent]).toEqual([46, false])
    budget.take(0, 46)
    expect(budget.isSpent).toBe(true)
  })

  it('is spent when its bytes are', () => {
    const budget = new Budget(10, 50)
    budget.take(10, 1)
    expect(budget.isSpent).toBe(true)
  })
})

describe('records from their wire forms', () => {
  const put = (lid: string, text: string) =>
    ({ type: 'putRecord', table: 'notes', lid, value: { is: 'text', text } }) as const
  const blobs = new Blobs()
  const pulled = new PulledChanges(blobs)

  it('are put under their key where the value does not hold it', () => {
    const keys = { keyPath: null, autoIncrement: true }
    expect(appRecord(put('n7', '["~date",5]'), keys, pulled, blobs)).toEqual({
      value: new Date(5),
      key: 7,
    })
  })

  it('get a generated key back into the value', () => {
    const keys = { keyPath: 'meta.id', autoIncrement: true }
    expect(appRecord(put('n7', '{"t":1}'), keys, pulled, blobs)).toEqual({
      value: { t: 1, meta: { id: 7 } },
      key: undefined,
    })
    expect(appValue('{"t":1}', 'n7', keys)).toEqual({ t: 1, meta: { id: 7 } })
  })

  it('hold their own key elsewhere', () => {
    const keys = { keyPath: ['a', 'b'], autoIncrement: false }
    const text = '{"a":1,"b":2}'
    expect(appRecord(put('a2:n12:n2', text), keys, pulled, blobs)).toEqual({
      value: { a: 1, b: 2 },
      key: undefined,
    })
  })

  it.each([
    ['another key', ['a', 'b'], '{"a":1,"b":3}'],
    ['another key of one part', 'id', '{"id":"other"}'],
    ['no key', 'id', '{"a":1}'],
    ['what is no key', 'id', '{"id":{}}'],
    ['no place for a key', 'meta.id', '5'],
  ])('go nowhere else: %s', (_, keyPath, text) => {
    const keys = { keyPath, autoIncrement: false }
    const code = expect.objectContaining({ code: 'key-changed' })
    const lid = typeof keyPath === 'string' ? 'sa' : 'a2:n12:n2'
    expect(() => appRecord(put(lid, text), keys, pulled, blobs)).toThrow(code)
    expect(() => checkKey(JSON.parse(text), lid, keys)).toThrow(code)
  })

  it('may leave out a generated key where they are chosen, and have no other', () => {
    const keys = { keyPath: 'meta.id', autoIncrement: true }
    const outside = { keyPath: null, autoIncrement: true }
    expect(() => checkKey({ t: 1 }, 'n7', keys)).not.toThrow()
    expect(() => checkKey({ meta: { id: 7 } }, 'n7', keys)).not.toThrow()
    expect(() => checkKey({ meta: { id: 8 } }, 'n7', keys)).toThrow('key')
    expect(() => checkKey({ t: 1 }, 'n7', outside)).not.toThrow()
  })

  it('are taken from the last pull by their place, as often as they are asked for', () => {
    const changes = new PulledChanges(blobs)
    changes.keep('{"changes":[{"value":["~array","~date",5]},{"value":{"at":["~date",5]}}]}')
    for (let time = 0; time < 2; time += 1) {
      expect(changes.value(0)).toEqual(['~date', 5])
      expect(changes.value(1)).toEqual({ at: new Date(5) })
    }
    expect(() => changes.value(2)).toThrow('other')
    changes.keep('<html>')
    expect(() => changes.value(0)).toThrow('other')
  })
})

it('a pulled value that cannot be made is not made of what is left of it', () => {
  const hash = 'A'.repeat(43)
  const blobs = new Blobs()
  const changes = new PulledChanges(blobs)
  const value = [
    ['~array', '~date', 5],
    ['~blob', '', 1, hash],
  ]
  changes.keep(JSON.stringify({ changes: [{ value }] }))
  expect(() => changes.value(0)).toThrow('Blob')
  blobs.keep('pulled', new Map([[hash, new Blob(['x'])]]))
  expect(() => changes.value(0)).toThrow('Blob')
  changes.keep(JSON.stringify({ changes: [{ value }] }))
  expect(changes.value(0)).toMatchObject([['~date', 5], expect.any(Blob)])
})

describe('server-sent events', () => {
  const text =
    ': hello\r\n\r\nevent: poke\r\ndata: {"cursor":"a"}\r\n\r\ndata: x\n\nevent:poke\rdata\r\r'

  it.each([1, 2, 3, 7, 1_000])('are read in pieces of %d', (size) => {
    const told: string[] = []
    const reader = new EventReader((name) => told.push(name))
    for (let at = 0; at < text.length; at += size) reader.read(text.slice(at, at + size))
    reader.read(':')
    expect(told).toEqual(['poke', 'message', 'poke'])
  })

  it('are none without data, and end with a line that does not', () => {
    const told: string[] = []
    const reader = new EventReader((name) => told.push(name))
    reader.read('event: poke\n\n')
    expect(told).toEqual([])
    expect(() => reader.read('x'.repeat(70_000))).toThrow('network')
  })
})

it('bodies are compressed where it pays', async () => {
  const long = `"${'x'.repeat(2_000)}"`
  const { body, encoding } = await pushBody('{"ops":[', [long, '1'], true)
  expect(encoding).toBe('gzip')
  expect(gunzipSync(Buffer.from(body as ArrayBuffer)).toString()).toBe(`{"ops":[${long},1]}`)
  const random = randomBytes(1_600_000).toString('base64')
  expect(await pushBody('{"ops":[', [`"${random}"`], true)).not.toHaveProperty('encoding')
  expect(await pushBody('{"ops":[', ['1'], true)).toEqual({ body: '{"ops":[1]}' })
  expect(await pushBody('{"ops":[', [long], false)).toEqual({ body: `{"ops":[${long}]}` })
})
