import { describe, expect, test } from 'vitest'
import { TidesyncError } from '../error'
import { decodeValue } from '../values/decode'
import { encodeValue } from '../values/encode'
import { snapshotJson } from '../values/plain'
import { picture } from './picture'
import { BLOBS, HASHES, nest, ring, sparse, VALUES } from './samples'
import { readVectors, type ValueVectors } from './vectors'

const vectors = readVectors<ValueVectors>('values.json')
const samples = Object.entries(VALUES)

function wireOf(value: unknown): string {
  const encoded = encodeValue(value, HASHES)
  if (!('json' in encoded)) throw new Error(`refused: ${encoded.code} ${encoded.path}`)
  return encoded.json
}

function codeOf(value: unknown): string | undefined {
  const encoded = encodeValue(value)
  return 'code' in encoded ? encoded.code : undefined
}

/** Forms of what Node lacks. */
const absentHere = vectors.browser
  .filter(({ name }) => /^DOM[MPQR]|ImageData|Float16/.test(name))
  .map(({ wire }) => wire)

/** Blobs are other objects after each step, so what is known of them is gone. */
function hasBlobs(wire: string): boolean {
  return wire.includes('["~blob"') || wire.includes('["~file"')
}

describe('wire form', () => {
  test('every sample has a vector and every vector a sample', () => {
    expect(vectors.values.map(({ name }) => name)).toEqual(Object.keys(VALUES))
  })

  test.each(vectors.values)(
    '$name: wire form and value are the same in both directions',
    async ({ name, wire }) => {
      expect(wireOf(VALUES[name])).toBe(wire)
      const decoded = decodeValue(wire, BLOBS)
      expect(decoded).toStrictEqual(VALUES[name])
      expect(await picture(decoded)).toEqual(await picture(VALUES[name]))
      if (!hasBlobs(wire)) expect(wireOf(decodeValue(wire))).toBe(wire)
    },
  )

  test.each(samples)('%s: a structured clone has the same wire form', (_, value) => {
    const wire = wireOf(value)
    if (!hasBlobs(wire)) expect(wireOf(structuredClone(value))).toBe(wire)
  })

  test.each(vectors.same)('%j and %j decode to the same value', (one, other) => {
    expect(decodeValue(one)).toStrictEqual(decodeValue(other))
  })

  test.each(vectors.invalid)('refuses to decode %j', (text) => {
    const decode = () => decodeValue(text, BLOBS)
    expect(decode).toThrowError(expect.objectContaining({ code: 'bad-value' }))
  })

  test.each([...vectors.unsupported, ...absentHere])(
    'says what this platform cannot make of %j',
    (text) => {
      const decode = () => decodeValue(text)
      expect(decode).toThrowError(expect.objectContaining({ code: 'unsupported-type' }))
    },
  )

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

describe('cycles', () => {
  test('the order of properties does not count', () => {
    const one: Record<string, unknown> = { a: {}, b: {} }
    Object.assign(one, { list: [one.b, one.a, one] })
    const { a, b, list } = structuredClone(one) as { a: object; b: object; list: object[] }
    const other: Record<string, unknown> = Object.assign(list[2] ?? {}, { list, b, a })
    for (const name of ['a', 'list', 'b']) {
      const value = other[name]
      delete other[name]
      other[name] = value
    }
    expect(Object.keys(other)).not.toEqual(Object.keys(one))
    expect(wireOf(other)).toBe(wireOf(one))
  })

  test('identity is kept within one, and only there', () => {
    const { one, two } = decodeValue(wireOf(withRing())) as ReturnType<typeof withRing>
    expect(one[0]).toBe(one[1])
    expect(one[0].next).toBe(one[0])
    expect(two[0]).toEqual({ n: 1 })
    expect(two[0]).not.toBe(two[1])
  })

  function withRing() {
    const ring = { next: {} as object }
    ring.next = ring
    const plain = { n: 1 }
    return { one: [ring, ring], two: [plain, plain] } as const
  }

  test('a long way through is no deep one, in either direction', () => {
    const decoded = decodeValue(wireOf(ring(50_000))) as { id: number; next: never; before: never }
    let node = decoded
    for (let id = 0; id < 50_000; id++) {
      expect(node.id === id && (node.next as typeof node).before === node).toBe(true)
      node = node.next
    }
    expect(node).toBe(decoded)
  })

  test('too deep is too deep beside a cycle too', () => {
    const value = { cycle: ring(2), deep: nest(63) }
    expect('json' in encodeValue(value)).toBe(true)
    expect(encodeValue({ ...value, deep: nest(64) })).toMatchObject({ code: 'too-deep' })
    expect(encodeValue(Object.assign(ring(2), { deep: nest(62) }))).toHaveProperty('json')
    const deeper = Object.assign(ring(2), { deep: nest(63) })
    expect(encodeValue(deeper)).toMatchObject({ code: 'too-deep' })
  })
})

describe('refusals', () => {
  function resizable(): ArrayBuffer {
    return Reflect.construct(ArrayBuffer, [4, { maxByteLength: 8 }])
  }

  const weak = () => new WeakMap()

  test.each<[string, unknown, string, string]>([
    ['WeakMap', [weak()], 'unsupported-type', '$[0]: WeakMap'],
    ['odd name', { 'odd name': weak() }, 'unsupported-type', '$["odd name"]: WeakMap'],
    ['in a map key', new Map([[weak(), 1]]), 'unsupported-type', '$[0].key: WeakMap'],
    ['in a map value', new Map([['secret', weak()]]), 'unsupported-type', '$[0].value: WeakMap'],
    ['in a set', new Set([1, weak()]), 'unsupported-type', '$[1]: WeakMap'],
    ['in a sparse array', sparse(3, { 2: weak() }), 'unsupported-type', '$[2]: WeakMap'],
    [
      'in a cause',
      { e: new Error('secret', { cause: [weak()] }) },
      'unsupported-type',
      '$.e.cause[0]: WeakMap',
    ],
    [
      'in a cycle',
      Object.assign(ring(3), { odd: [weak()] }),
      'unsupported-type',
      '$.odd[0]: WeakMap',
    ],
    [
      'within a cycle',
      { deep: { ring: Object.assign(ring(1), { w: weak() }) } },
      'unsupported-type',
      '$.deep.ring.w: WeakMap',
    ],
    ['function', { f: () => 1 }, 'unsupported-type', '$.f: function'],
    ['boxed symbol', [Object(Symbol('secret'))], 'unsupported-type', '$[0]: Symbol'],
    ['Blob that was not read', { photo: new Blob(['x']) }, 'blob-unreadable', '$.photo: Blob'],
    ['File that was not read', [new File(['x'], 'secret')], 'blob-unreadable', '$[0]: File'],
    ['resizable buffer', [resizable()], 'unsupported-type', '$[0]: ArrayBuffer'],
    ['view of one', [new Uint8Array(resizable())], 'unsupported-type', '$[0]: Uint8Array'],
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
    expect(codeOf(ring(200_000))).toBe('too-large')
    expect(codeOf(`\ud800${'x'.repeat(5_000_000)}`)).toBe('too-large')
    expect(codeOf('x'.repeat(8_000_000))).toBeUndefined()
  })

  test('a path is bounded', () => {
    const refused = encodeValue({ ['n'.repeat(1000)]: new WeakSet() })
    expect(refused).toMatchObject({ path: expect.stringMatching(/^\$\.n+: WeakSet$/) })
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

describe('hostile forms', () => {
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

  test.each([
    deep(65),
    deep(100_000),
    `["~set",${deep(64)}]`,
    `["~graph",[["~ref",0]],${deep(64)}]`,
    '1e400',
    '-0',
    '[-0]',
  ])('%.40s', (text) => {
    expect(() => decodeValue(text)).toThrowError(expect.objectContaining({ code: 'bad-value' }))
  })

  test.each([
    '{"__proto__":{"a":1}}',
    '["~obj",["__proto__",{"a":1}],[["~str",55296],1]]',
    '["~sparse",1,["__proto__",{"a":1}]]',
    '["~graph",{"__proto__":["~ref",0]}]',
    '["~map",["__proto__",{"a":1}]]',
  ])('no prototype is changed by %s', (text) => {
    const value = decodeValue(text) as object
    const types: unknown[] = [Object, Array, Map]
    expect(
      types.some((type) => Object.getPrototypeOf(value) === (type as ObjectConstructor).prototype),
    ).toBe(true)
    expect(({} as { a?: number }).a).toBeUndefined()
  })

  test('a string of a million units and a table of as many references end', () => {
    const units = `["~str",55296${',97'.repeat(1_000_000)}]`
    expect(decodeValue(units)).toHaveLength(1_000_001)
    const references = `["~graph",["a"${',["~ref",0]'.repeat(300_000)}]]`
    expect(decodeValue(references)).toHaveLength(300_001)
  })

  test('a Blob that is not at hand, or is another, is none', () => {
    const hash = [...BLOBS.keys()][0]
    const wire = `["~blob","",3,"${hash}"]`
    expect(() => decodeValue(wire)).toThrowError(expect.objectContaining({ code: 'blob-missing' }))
    const other = new Map([[String(hash), new Blob(['four'])]])
    expect(() => decodeValue(wire, other)).toThrowError(
      expect.objectContaining({ code: 'bad-value' }),
    )
  })
})

test('errors are TidesyncErrors without user data', () => {
  const decode = () => decodeValue('["~bigint","secret"]')
  expect(decode).toThrowError(TidesyncError)
  expect(decode).not.toThrowError(/secret/)
})
