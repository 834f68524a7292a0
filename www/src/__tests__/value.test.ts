import { describe, expect, test } from 'vitest'
import { TidesyncError } from '../error'
import { decodeValue, encodeValue, snapshotJson } from '../value'
import { nest, sparse, VALUES } from './samples'
import { readVectors, type ValueVectors } from './vectors'

const vectors = readVectors<ValueVectors>('values.json')
const samples = Object.entries(VALUES)

function wireOf(value: unknown): string {
  const encoded = encodeValue(value)
  if (!('json' in encoded)) throw new Error(`refused: ${encoded.code} ${encoded.path}`)
  return encoded.json
}

function codeOf(value: unknown): string | undefined {
  const encoded = encodeValue(value)
  return 'code' in encoded ? encoded.code : undefined
}

describe('wire form', () => {
  test('every sample has a vector and every vector a sample', () => {
    expect(vectors.values.map(({ name }) => name)).toEqual(Object.keys(VALUES))
  })

  test.each(vectors.values)(
    '$name: wire form and value are the same in both directions',
    ({ name, wire }) => {
      expect(wireOf(VALUES[name])).toBe(wire)
      expect(decodeValue(wire)).toStrictEqual(VALUES[name])
      expect(wireOf(decodeValue(wire))).toBe(wire)
    },
  )

  test.each(samples)('%s: a structured clone has the same wire form', (_, value) => {
    expect(wireOf(structuredClone(value))).toBe(wireOf(value))
  })

  test.each(vectors.same)('%j and %j decode to the same value', (one, other) => {
    expect(decodeValue(one)).toStrictEqual(decodeValue(other))
  })

  test.each(vectors.invalid)('refuses to decode %j', (text) => {
    expect(() => decodeValue(text)).toThrowError(expect.objectContaining({ code: 'bad-value' }))
  })

  test('keeps the sign of zero, holes, and own __proto__ without touching a prototype', () => {
    expect(Object.is(decodeValue('["~num","-0"]'), -0)).toBe(true)
    expect(0 in (decodeValue('["~sparse",1]') as unknown[])).toBe(false)
    const plain = decodeValue('{"__proto__":{"at":["~date",1]}}') as object
    expect(Object.getPrototypeOf(plain)).toBe(Object.prototype)
    expect(Object.getOwnPropertyDescriptor(plain, '__proto__')?.value).toEqual({ at: new Date(1) })
  })

  test('named properties follow the indexes in the order of their names', () => {
    const array = sparse(2, { name: 1, '4294967295': 2, '01': 3, 1: 4 })
    expect(wireOf(array)).toBe('["~sparse",2,[1,4],["01",3],["4294967295",2],["name",1]]')
  })

  test('names a typed array that the browser lacks', () => {
    const decode = () => decodeValue('["~view","Float16Array","AAA"]')
    if ('Float16Array' in globalThis) expect(ArrayBuffer.isView(decode())).toBe(true)
    else expect(decode).toThrowError(expect.objectContaining({ code: 'unsupported-type' }))
  })

  test('writes instances of classes as structured clone keeps them', () => {
    class Point {
      x = 1
      #hidden = 2
      get sum() {
        return this.x + this.#hidden
      }
    }
    expect(wireOf(structuredClone(new Point()))).toBe('{"x":1}')
  })
})

describe('refusals', () => {
  const cyclic: Record<string, unknown> = { name: 'a' }
  cyclic.self = [cyclic]

  test.each<[string, unknown, string, string]>([
    ['Blob', { photo: new Blob(['x']) }, 'unsupported-type', '$.photo: Blob'],
    ['File', { f: [new File(['x'], 'secret.txt')] }, 'unsupported-type', '$.f[0]: File'],
    ['RegExp', [/secret/], 'unsupported-type', '$[0]: RegExp'],
    ['Error', new Error('secret'), 'unsupported-type', '$: Error'],
    ['boxed number', { 'odd name': Object(1) }, 'unsupported-type', '$["odd name"]: Number'],
    ['boxed string', Object('x'), 'unsupported-type', '$: String'],
    ['boxed bigint', Object(1n), 'unsupported-type', '$: BigInt'],
    ['in a map key', new Map([[/x/, 1]]), 'unsupported-type', '$[0].key: RegExp'],
    ['in a map value', new Map([['secret', /x/]]), 'unsupported-type', '$[0].value: RegExp'],
    ['in a set', new Set([1, /x/]), 'unsupported-type', '$[1]: RegExp'],
    ['in a sparse array', sparse(3, { 2: /x/ }), 'unsupported-type', '$[2]: RegExp'],
    ['cycle', cyclic, 'cyclic', '$.self[0]: Object'],
    ['function', { f: () => 1 }, 'unsupported-type', '$.f: function'],
  ])('%s', (_, value, code, path) => {
    expect(encodeValue(value)).toEqual({ code, path })
  })

  test('more than 64 levels', () => {
    expect('json' in encodeValue(nest(64))).toBe(true)
    expect(encodeValue(nest(65))).toMatchObject({ code: 'too-deep' })
    const dateAtTheEnd = JSON.parse(JSON.stringify(nest(64)), (_, value) =>
      value === 1 ? new Date(1) : value,
    )
    expect(encodeValue(dateAtTheEnd)).toMatchObject({ code: 'too-deep' })
  })

  test('more than 8 MiB, however it comes about', () => {
    let shared: unknown = ['x'.repeat(100_000)]
    for (let level = 0; level < 40; level++) shared = [shared, shared]
    expect(codeOf(shared)).toBe('too-large')
    expect(codeOf('x'.repeat(9_000_000))).toBe('too-large')
    expect(codeOf({ b: new ArrayBuffer(9_000_000) })).toBe('too-large')
    expect(codeOf(`\ud800${'x'.repeat(5_000_000)}`)).toBe('too-large')
    expect(codeOf('x'.repeat(8_000_000))).toBeUndefined()
  })

  test('a path is bounded', () => {
    const refused = encodeValue({ ['n'.repeat(1000)]: /x/ })
    expect(refused).toMatchObject({ path: expect.stringMatching(/^\$\.n+: RegExp$/) })
    expect('path' in refused && refused.path.length).toBe(256)
  })

  test('what a getter throws is thrown', () => {
    const value = {
      get bad() {
        throw new TypeError('mine')
      },
    }
    expect(() => encodeValue(value)).toThrowError('mine')
  })
})

describe('snapshot', () => {
  test.each(samples)('%s: is the wire form wherever there is a snapshot', (_, value) => {
    const json = snapshotJson(value)
    if (json !== undefined) expect(json).toBe(wireOf(value))
  })

  test.each([
    'integer',
    'string with escapes',
    'string like an escaped surrogate',
    'string that starts like a tag',
    'array with a tilde later',
    'object',
    'own __proto__',
    'deepest nesting',
  ])('takes: %s', (name) => {
    expect(snapshotJson(VALUES[name])).toBe(wireOf(VALUES[name]))
  })

  test('takes the own enumerable properties of an object without prototype', () => {
    const object = Object.create(null)
    object.a = 1
    Object.defineProperty(object, 'hidden', { value: undefined })
    object[Symbol('s')] = () => 1
    expect(snapshotJson(object)).toBe('{"a":1}')
  })

  const hiddenToJson = Object.defineProperty({ a: 1 }, 'toJSON', { value: () => 2 })
  class Point {
    x = 1
  }
  class List extends Array {}

  test.each<[string, unknown]>([
    ...['undefined', 'NaN', 'Infinity', '-Infinity', 'minus zero', 'bigint', 'date', 'map'].map(
      (name): [string, unknown] => [name, VALUES[name]],
    ),
    ['undefined within', { a: undefined }],
    ['undefined in an array', [undefined]],
    ['minus zero within', { a: [-0] }],
    ['function', { f: () => 1 }],
    ['symbol', { s: Symbol('s') }],
    ['hole', sparse(2, { 1: 1 })],
    ['named property of an array', sparse(1, { 0: 1, name: 1 })],
    ['array that starts like a tag', { a: [['~x']] }],
    ['lone surrogate', { a: ['x\ud800'] }],
    ['lone surrogate after a backslash', '\\\ud800'],
    ['lone low surrogate', '\udfff'],
    ['lone surrogate in a name', { 'x\udfff': 1 }],
    ['instance of a class', new Point()],
    ['instance of an array class', List.of(1)],
    ['boxed string', Object('x')],
    ['hidden toJSON', hiddenToJson],
    ['toJSON of an array', Object.defineProperty([1], 'toJSON', { value: () => 2 })],
    ['65 levels', nest(65)],
  ])('leaves: %s', (_, value) => {
    expect(snapshotJson(value)).toBeUndefined()
  })

  test('leaves everything structured while a prototype has toJSON', () => {
    const prototype = Array.prototype as { toJSON?: unknown }
    prototype.toJSON = () => 'spoilt'
    try {
      expect(snapshotJson({ a: [1] })).toBeUndefined()
      expect(wireOf({ a: [1] })).toBe('{"a":[1]}')
    } finally {
      delete prototype.toJSON
    }
  })

  test('is not disturbed by enumerable properties of Object.prototype', () => {
    const prototype = Object.prototype as { polluted?: unknown }
    prototype.polluted = undefined
    try {
      expect(snapshotJson({ a: 1 })).toBe('{"a":1}')
    } finally {
      delete prototype.polluted
    }
  })

  test('ends on cycles and on shared references without end', () => {
    const cycle: unknown[] = []
    cycle.push(cycle)
    expect(snapshotJson(cycle)).toBeUndefined()
    let shared: unknown = [1]
    for (let level = 0; level < 60; level++) shared = [shared, shared]
    expect(snapshotJson(shared)).toBeUndefined()
  })
})

test('errors are TidesyncErrors without user data', () => {
  const decode = () => decodeValue('["~bigint","secret"]')
  expect(decode).toThrowError(TidesyncError)
  expect(decode).not.toThrowError(/secret/)
})
