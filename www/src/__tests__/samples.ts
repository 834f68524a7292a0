/** Values and keys behind the names of `crates/protocol/vectors`. */

export function sparse(length: number, entries: Record<string, unknown>): unknown[] {
  const array: unknown[] = []
  array.length = length
  return Object.assign(array, entries)
}

function ownProto(value: unknown): object {
  return JSON.parse(`{"__proto__":${JSON.stringify(value)},"a":1}`)
}

function buffer(...bytes: number[]): ArrayBuffer {
  return Uint8Array.from(bytes).buffer
}

export function nest(levels: number): unknown {
  let value: unknown = 1
  for (let level = 0; level < levels; level++) value = [value]
  return value
}

/** An error whose stack is the same wherever it is made. */
function error(type: ErrorConstructor, message?: string, parts: object = {}): Error {
  const made = message === undefined ? new type() : new type(message)
  for (const [name, value] of Object.entries({ stack: undefined, ...parts })) {
    const descriptor = { value, configurable: true, enumerable: false, writable: true }
    Object.defineProperty(made, name, descriptor)
  }
  return made
}

function itself(value: object, name: string): object {
  return Object.assign(value, { [name]: value })
}

function mapOfItself(): Map<unknown, unknown> {
  const map = new Map()
  return map.set(map, new Set([map]))
}

/** Nodes that know their neighbours, as the property `next` of the first shows. */
export function ring(length: number): object {
  const nodes = Array.from({ length }, (_, id): Record<string, unknown> => ({ id }))
  nodes.forEach((node, index) => {
    const next = nodes[(index + 1) % length] ?? node
    node.next = next
    next.before = node
  })
  return nodes[0] ?? {}
}

function tree(): object {
  const root: Record<string, unknown> = { name: 'root' }
  const when = new Date(1)
  const leaf = { parent: root, when }
  root.children = [leaf, { parent: root, when, like: leaf }]
  return root
}

const ABC = new Blob(['abc'], { type: 'text/plain' })
const NOTHING = new Blob([])
const NOTE = new File(['abc'], 'notes/ä 🌊.txt', {
  type: 'text/plain',
  lastModified: 1700000000123,
})
const OLD = new File([], '', { lastModified: -1 })

const ABC_HASH = 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0'
const NOTHING_HASH = '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU'

/** The hashes of the samples' Blobs and Files. */
export const HASHES: ReadonlyMap<object, string> = new Map([
  [ABC, ABC_HASH],
  [NOTHING, NOTHING_HASH],
  [NOTE, ABC_HASH],
  [OLD, NOTHING_HASH],
])

/** Their bytes, by their hashes. */
export const BLOBS: ReadonlyMap<string, Blob> = new Map([
  [ABC_HASH, new Blob(['abc'])],
  [NOTHING_HASH, new Blob([])],
])

const LONE = '\ud800'

export const VALUES: Record<string, unknown> = {
  null: null,
  true: true,
  false: false,
  zero: 0,
  integer: 42,
  'negative integer': -7,
  'largest safe integer': Number.MAX_SAFE_INTEGER,
  'integer beyond 15 digits': 1234567890123456,
  fraction: 0.1,
  'large exponent': 1e21,
  'small exponent': 1.5e-7,
  'smallest double': 5e-324,
  'largest double': Number.MAX_VALUE,
  'empty string': '',
  'plain string': 'a file',
  'string with escapes': '"\\/\b\f\n\r\t\u0001',
  'string beyond ASCII': 'é 文 🌊 \u2028',
  'string like an escaped surrogate': 'C:\\udata',
  'string that starts like a tag': '~date',
  'empty array': [],
  array: [1, 'two', null, [true]],
  'array that starts like a tag': ['~date', 5],
  'array that starts with a tilde': ['~'],
  'array with a tilde later': [1, '~date'],
  'empty object': {},
  object: { b: 1, a: { d: [1], c: 'x' } },
  'object with integer names': { 10: 'a', 9: 'b', x: 'c' },
  'object with names in UTF-8 order': { '\u{1f30a}': 1, '\uffff': 2, é: 3, z: 4, '': 5 },
  'own __proto__': ownProto({ b: 1 }),
  'own __proto__ with a form in it': Object.assign(ownProto(null), { at: new Date(1) }),
  undefined: undefined,
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  'minus zero': -0,
  'bigint zero': 0n,
  bigint: 123456789012345678901234567890n,
  'negative bigint': -5n,
  date: new Date(1700000000123),
  'date before 1970': new Date(-1),
  'invalid date': new Date(Number.NaN),
  'empty map': new Map(),
  map: new Map<unknown, unknown>([
    ['b', 1],
    ['a', new Date(0)],
    [{ k: 1 }, undefined],
    ['~x', ['~y']],
  ]),
  'empty set': new Set(),
  set: new Set<unknown>(['b', 'a', Number.NaN, new Set([1])]),
  'empty buffer': buffer(),
  buffer: buffer(0, 1, 250, 251, 255),
  Int8Array: Int8Array.of(-1, 2),
  Uint8Array: Uint8Array.of(1, 2, 3),
  Uint8ClampedArray: Uint8ClampedArray.of(255),
  Int16Array: Int16Array.of(-2),
  Uint16Array: Uint16Array.of(65535),
  Int32Array: Int32Array.of(-3),
  Uint32Array: Uint32Array.of(4294967295),
  Float32Array: Float32Array.of(1.5),
  Float64Array: Float64Array.of(-0, Number.NaN),
  BigInt64Array: BigInt64Array.of(-1n),
  BigUint64Array: BigUint64Array.of(1n),
  DataView: new DataView(buffer(9, 8, 7), 1, 2),
  'view of a part': new Uint8Array(buffer(1, 2, 3, 4), 1, 2),
  'lone high surrogate': 'a\ud83c',
  'lone low surrogate': '\udf0a',
  'surrogates in the wrong order': '\udf0a\ud83c',
  'name with a lone surrogate': { '\ud800': 1, a: new Date(5), __proto: 2 },
  'own __proto__ beside a lone surrogate': Object.assign(ownProto(1), { '\udfff': 2 }),
  'array of holes': sparse(3, {}),
  'sparse array': sparse(5, { 1: 'one', 3: undefined }),
  'sparse array of the largest length': sparse(4294967295, { 4294967294: 'last' }),
  'array with a named property': sparse(1, { 0: 'zero', '01': 'm', name: 'n' }),
  'array with a lone surrogate as a name': sparse(0, { '\ud800': 1 }),
  'array with undefined': [undefined, 1],
  mixture: {
    id: 7,
    at: new Date(1700000000000),
    tags: new Set(['x']),
    by: new Map([[1, [{ deep: [-0, 10n, Uint8Array.of(1)] }]]]),
    gone: undefined,
    list: ['~array', ['~undef'], sparse(2, { 1: new Map() })],
  },
  'deepest nesting': nest(64),
  'regular expression': /a+\/(?<year>\d{4})/dgimsy,
  'empty regular expression': /(?:)/,
  'regular expression with a lone surrogate': new RegExp(LONE, 'u'),
  error: error(Error, 'message', { stack: 'Error: message\n    at a place' }),
  'error without a message': error(TypeError),
  'error with a cause': error(RangeError, '', { cause: [undefined, { at: new Date(5) }] }),
  'errors of every kind': [
    error(EvalError as ErrorConstructor, '1'),
    error(ReferenceError as ErrorConstructor, '2'),
    error(SyntaxError as ErrorConstructor, '3'),
    error(URIError as ErrorConstructor, 'lone \udfff'),
  ],
  'boxed number': Object(-0),
  'boxed string': Object('x\ud800'),
  'boxed boolean': Object(false),
  'boxed bigint': Object(7n),
  Blob: ABC,
  'empty Blob': NOTHING,
  File: NOTE,
  'empty File': OLD,
  'Blobs within': { photo: ABC, list: [NOTE, new Map([[NOTHING, ABC]])] },
  'object that holds itself': itself({ name: 'a' }, 'self'),
  'array that holds itself': itself([1], '0'),
  'Map that holds itself': mapOfItself(),
  'object that holds itself beside a lone surrogate': itself({ '\ud800': 1 }, 'self'),
  'sparse array that holds itself': itself(sparse(2, {}), 'self'),
  'ring in a record': ring(3),
  'rings in fields': { id: 1, one: ring(1), plain: [1], two: [ring(2), /x/] },
  'objects that occur more than once': tree(),
}

export const KEYS: Record<string, IDBValidKey> = {
  zero: 0,
  integer: 42,
  negative: -1.5,
  'large exponent': 1e21,
  'twenty-one digits': 123e18,
  'small exponent': 1.5e-7,
  'six zeros': 0.000001,
  'smallest double': 5e-324,
  'largest double': Number.MAX_VALUE,
  'two shortest texts': 8265333167053421 / 4,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  date: new Date(1700000000123),
  'date before 1970': new Date(-1),
  'last date': new Date(8.64e15),
  'empty string': '',
  string: 'workspace-1',
  'string beyond ASCII': 'é 文 🌊',
  percent: '100%25',
  'zero character': 'a\0b',
  'lone high surrogate': 'a\ud83c',
  'lone low surrogate': '\udf0ab',
  'two lone surrogates': '\udf0a\ud83c',
  'lone surrogate before a pair': '\ud83c🌊',
  'empty binary': buffer(),
  binary: buffer(0, 250, 255),
  'empty array': [],
  array: [1, 'a:b', new Date(0)],
  'nested array': [[], [1, [2]], 'x'],
  'array beyond ASCII': ['🌊', '\ud800', buffer(1)],
}

/** Keys in the order of IndexedDB. */
export const SORTED_KEYS: IDBValidKey[] = [
  Number.NEGATIVE_INFINITY,
  -10,
  -9.5,
  0,
  5e-324,
  9,
  10,
  Number.POSITIVE_INFINITY,
  new Date(-8.64e15),
  new Date(0),
  new Date(1),
  '',
  '\0',
  '%',
  '10',
  '9',
  'a',
  'a\0',
  'aa',
  'é',
  '\ud800',
  '🌊',
  '\udf0a',
  '\uffff',
  buffer(),
  buffer(0),
  buffer(0, 0),
  buffer(1),
  buffer(255),
  [],
  [Number.NEGATIVE_INFINITY],
  [1],
  [1, 1],
  [2],
  [new Date(0)],
  [''],
  ['a', 1],
  ['b'],
  [buffer()],
  [[]],
  [[1]],
]
