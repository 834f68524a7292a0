/**
 * Values: the snapshot that capture takes, and the wire form with its way back. The form is
 * described in `crates/protocol/src/value.rs` and pinned by `crates/protocol/vectors/values.json`.
 */

import { decodeBase64url, encodeBase64url } from './base64url'
import { TidesyncError } from './error'

/** Deepest nesting of arrays and objects in a wire form. */
const DEPTH_MAX = 64

/** Most arrays and objects of a snapshot: shared references can make a small value endless. */
const CONTAINERS_MAX = 65_536

/** Most UTF-16 units of a wire form: no push could carry more. */
const LENGTH_MAX = 8 * 1024 * 1024

/** A surrogate without its other half. */
const LONE_SURROGATE = /\p{Surrogate}/u

/** An escaped surrogate of JSON text, which `JSON.stringify` writes for lone ones only. */
const ESCAPED_SURROGATE = /(?:^|[^\\])(?:\\\\)*\\ud[89a-f]/

const { hasOwnProperty: hasOwn, toString: objectToString } = Object.prototype

let containersLeft = 0

/**
 * The JSON text of a value that is plain JSON, else undefined. Runs at each captured `put`.
 *
 * What it returns is a valid wire form, and parses to what a structured clone of the value holds.
 * Not plain: undefined, NaN, ±Infinity, −0, `BigInt`, instances of classes, arrays with holes or
 * named properties, lone surrogates, `toJSON`, an array whose first element is a string that starts
 * with `~`, more than 64 levels, more than 65,536 arrays and objects, cycles.
 *
 * Accessor properties run twice. What they throw is thrown.
 */
export function snapshotJson(value: unknown): string | undefined {
  containersLeft = CONTAINERS_MAX
  if (!isPlainScalar(value) && !isPlainContainer(value, 0)) return undefined
  const json = JSON.stringify(value)
  return json.includes('\\ud') && ESCAPED_SURROGATE.test(json) ? undefined : json
}

/** Small and apart from the rest, so that engines put it into the loops below. */
function isPlainScalar(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return isPlainNumber(value)
    default:
      return value === null
  }
}

function isPlainContainer(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (depth === DEPTH_MAX || --containersLeft < 0) return false
  return Array.isArray(value) ? isPlainArray(value, depth + 1) : isPlainObject(value, depth + 1)
}

function isPlainNumber(value: number): boolean {
  return value - value === 0 && (value !== 0 || 1 / value > 0)
}

function isPlainArray(array: readonly unknown[], depth: number): boolean {
  if (Object.getPrototypeOf(array) !== Array.prototype) return false
  const { length } = array
  for (let index = 0; index < length; index++) {
    const element = array[index]
    if (!isPlainScalar(element) && !isPlainContainer(element, depth)) return false
  }
  return Object.keys(array).length === length && !startsLikeTag(array) && !hasToJson(array)
}

function isPlainObject(object: object, depth: number): boolean {
  const prototype = Object.getPrototypeOf(object)
  if (prototype !== Object.prototype && prototype !== null) return false
  // `for in` with an own-property test is what engines make fastest.
  for (const name in object) {
    if (!hasOwn.call(object, name)) continue
    const member = (object as Record<string, unknown>)[name]
    if (!isPlainScalar(member) && !isPlainContainer(member, depth)) return false
  }
  return !hasToJson(object)
}

function hasToJson(object: object): boolean {
  return (
    (object as { toJSON?: unknown }).toJSON !== undefined &&
    typeof (object as { toJSON?: unknown }).toJSON === 'function'
  )
}

function startsLikeTag(array: readonly unknown[]): boolean {
  const first = array[0]
  return typeof first === 'string' && first.charCodeAt(0) === 0x7e
}

/** Why a value has no wire form. */
export interface EncodeRefusal {
  /** For programs. */
  code: 'unsupported-type' | 'cyclic' | 'too-deep' | 'too-large'
  /** Where in the value, and what: `$.photo: Blob`. Field names and types, no values; at most 256 units. */
  path: string
}

/**
 * The wire form of a value as structured clone returns it: a snapshot, or a record read back.
 *
 * That several references lead to one object is not kept, nor the order of an object's properties.
 */
export function encodeValue(value: unknown): { json: string } | EncodeRefusal {
  const plain = snapshotJson(value)
  if (plain !== undefined && plain.length <= LENGTH_MAX) return { json: plain }
  const encoder = new Encoder()
  try {
    return { json: encoder.encode(value) }
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, path: error.path }
    throw error
  }
}

/** Most UTF-16 units of a refusal's path. */
const PATH_MAX = 256

class Refusal extends Error {
  constructor(
    readonly code: EncodeRefusal['code'],
    readonly path: string,
  ) {
    super(code)
  }
}

class Encoder {
  /** The objects around the value at hand, outermost first. */
  readonly #around: object[] = []
  readonly #path: (string | number)[] = []
  #depth = 0
  #length = 0

  encode(value: unknown): string {
    switch (typeof value) {
      case 'string':
        return this.#string(value)
      case 'number':
        if (isPlainNumber(value)) return this.#leaf(String(value))
        return this.#form('num', [quote(value === 0 ? '-0' : String(value))])
      case 'boolean':
        return this.#leaf(String(value))
      case 'bigint':
        return this.#form('bigint', [quote(String(value))])
      case 'undefined':
        return this.#form('undef', [])
      case 'object':
        return value === null ? this.#leaf('null') : this.#object(value)
      default:
        throw this.#refusal('unsupported-type', typeof value)
    }
  }

  #string(text: string): string {
    this.#fit(text.length)
    const json = quote(text)
    if (!json.includes('\\ud') || !LONE_SURROGATE.test(text)) return this.#leaf(json)
    this.#fit(text.length * '0,'.length)
    return this.#form(
      'str',
      text.split('').map((unit) => String(unit.charCodeAt(0))),
    )
  }

  #object(object: object): string {
    const type = objectToString.call(object).slice('[object '.length, -1)
    if (this.#around.includes(object)) throw this.#refusal('cyclic', type)
    this.#around.push(object)
    const text = this.#typed(object, type)
    this.#around.pop()
    return text
  }

  #typed(object: object, type: string): string {
    if (Array.isArray(object)) return this.#array(object)
    if (ArrayBuffer.isView(object)) {
      const bytes = new Uint8Array(object.buffer, object.byteOffset, object.byteLength)
      return this.#form('view', [quote(type), this.#bytes(bytes)])
    }
    switch (type) {
      case 'Object':
        return this.#properties(object as Record<string, unknown>)
      case 'Date': {
        const ms = (object as Date).getTime()
        return this.#form('date', [Number.isNaN(ms) ? 'null' : String(ms)])
      }
      case 'Map':
        return this.#map(object as Map<unknown, unknown>)
      case 'Set':
        return this.#list('"~set"', () => this.#all([...(object as Set<unknown>)]))
      case 'ArrayBuffer':
        return this.#form('buf', [this.#bytes(new Uint8Array(object as ArrayBuffer))])
      default:
        throw this.#refusal('unsupported-type', type)
    }
  }

  #array(array: readonly unknown[]): string {
    const names = Object.keys(array)
    const { length } = array
    const dense = names.length === length && (length === 0 || names.at(-1) === String(length - 1))
    if (!dense) return this.#sparse(array, names)
    return this.#list(startsLikeTag(array) ? '"~array"' : '', () => this.#all(array))
  }

  #sparse(array: readonly unknown[], names: readonly string[]): string {
    const indexes = names.filter(isIndex)
    const named = names.filter((name) => !isIndex(name)).sort()
    return this.#list(`"~sparse",${array.length}`, () => [
      ...indexes.map((index) =>
        this.#entry(Number(index), () => this.#leaf(index), array[Number(index)]),
      ),
      ...this.#named(array, named),
    ])
  }

  #properties(object: Record<string, unknown>): string {
    const names = Object.keys(object)
    if (names.some((name) => LONE_SURROGATE.test(name))) {
      return this.#list('"~obj"', () => this.#named(object, names.sort()))
    }
    this.#enter()
    const members = names.map(
      (name) => `${this.#leaf(quote(name))}:${this.#at(name, object[name])}`,
    )
    this.#depth -= 1
    return `{${members.join(',')}}`
  }

  #named(object: object, names: readonly string[]): string[] {
    return names.map((name) =>
      this.#entry(name, () => this.#string(name), (object as Record<string, unknown>)[name]),
    )
  }

  #map(map: Map<unknown, unknown>): string {
    return this.#list('"~map"', () =>
      [...map].map(([key, value], index) => {
        this.#path.push(index)
        const entry = this.#entry('value', () => this.#at('key', key), value)
        this.#path.pop()
        return entry
      }),
    )
  }

  #all(values: readonly unknown[]): string[] {
    return values.map((value, index) => this.#at(index, value))
  }

  /** `[first,value]` */
  #entry(segment: string | number, first: () => string, value: unknown): string {
    return this.#list('', () => [first(), this.#at(segment, value)])
  }

  #at(segment: string | number, value: unknown): string {
    this.#path.push(segment)
    const text = this.encode(value)
    this.#path.pop()
    return text
  }

  #list(head: string, items: () => string[]): string {
    this.#enter()
    const texts = items()
    this.#depth -= 1
    return `[${head === '' ? texts.join(',') : [head, ...texts].join(',')}]`
  }

  /** A form without values in it. */
  #form(tag: string, parts: readonly string[]): string {
    this.#enter()
    this.#depth -= 1
    return this.#leaf(`["~${[`${tag}"`, ...parts].join(',')}]`)
  }

  #bytes(bytes: Uint8Array): string {
    this.#fit(bytes.length)
    return quote(encodeBase64url(bytes))
  }

  #enter(): void {
    if (this.#depth === DEPTH_MAX) throw this.#refusal('too-deep', `more than ${DEPTH_MAX} levels`)
    this.#depth += 1
  }

  #leaf(text: string): string {
    this.#length += text.length + 1
    this.#fit(0)
    return text
  }

  /** Refuses before a text is made that would be too long with `more` units. */
  #fit(more: number): void {
    if (this.#length + more > LENGTH_MAX) {
      throw this.#refusal('too-large', `more than ${LENGTH_MAX} characters`)
    }
  }

  #refusal(code: EncodeRefusal['code'], what: string): Refusal {
    const suffix = `: ${what}`
    const path = `$${this.#path.map(segmentText).join('')}`
    return new Refusal(code, path.slice(0, PATH_MAX - suffix.length) + suffix)
  }
}

function segmentText(segment: string | number): string {
  if (typeof segment === 'string' && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(segment)) {
    return `.${segment}`
  }
  return `[${JSON.stringify(segment)}]`
}

function quote(text: string): string {
  return JSON.stringify(text)
}

/** Whether a property name is an array index. */
function isIndex(name: string): boolean {
  const index = Number(name) >>> 0
  return String(index) === name && index !== 0xffff_ffff
}

/**
 * The value of a wire form.
 *
 * @throws TidesyncError `bad-value` where the text is no wire form (it is trusted in what
 * `JSON.parse` does not tell: names that occur twice, numbers out of range, depth), and
 * `unsupported-type` where this browser lacks a typed array that the form names.
 */
export function decodeValue(json: string): unknown {
  const value = parse(json)
  const mayHoldForms = json.includes('~') || json.includes('\\u007')
  return mayHoldForms ? revive(value) : value
}

/** The same for a form that is parsed already: `parsed` is used up. */
export function reviveValue(parsed: unknown): unknown {
  return revive(parsed)
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw badForm()
  }
}

function badForm(): TidesyncError {
  return new TidesyncError('bad-value', 'The text is not the wire form of a value.')
}

function revive(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    if (startsLikeTag(value)) return reviveForm(value)
    return reviveAll(value)
  }
  const object = value as Record<string, unknown>
  for (const name of Object.keys(object)) object[name] = revive(object[name])
  return object
}

function reviveAll(values: unknown[]): unknown[] {
  for (const [index, value] of values.entries()) values[index] = revive(value)
  return values
}

function reviveForm([tag, ...rest]: unknown[]): unknown {
  const reviver = REVIVERS.get(tag)
  if (reviver === undefined) throw badForm()
  return reviver(rest)
}

const NUMBERS = new Map<unknown, number>([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-0', -0],
])

const REVIVERS = new Map<unknown, (rest: unknown[]) => unknown>([
  ['~undef', (rest) => exactly(rest, 0) && undefined],
  ['~num', (rest) => required(NUMBERS.get(exactly(rest, 1)[0]))],
  ['~bigint', reviveBigInt],
  ['~date', reviveDate],
  ['~map', (rest) => new Map(rest.map(pair).map(([key, value]) => [revive(key), revive(value)]))],
  ['~set', (rest) => new Set(reviveAll(rest))],
  ['~buf', (rest) => bytesOf(exactly(rest, 1)[0]).buffer],
  ['~view', reviveView],
  ['~str', reviveString],
  ['~sparse', reviveSparse],
  ['~obj', reviveObject],
  ['~array', reviveEscaped],
])

const VIEWS = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'DataView',
]

type ViewConstructor = new (buffer: ArrayBuffer) => ArrayBufferView

function demand(condition: boolean): asserts condition {
  if (!condition) throw badForm()
}

function required<T>(value: T | undefined): T {
  demand(value !== undefined)
  return value
}

function exactly(rest: unknown[], count: number): unknown[] {
  demand(rest.length === count)
  return rest
}

function pair(entry: unknown): [unknown, unknown] {
  demand(Array.isArray(entry) && entry.length === 2)
  return [entry[0], entry[1]]
}

function bytesOf(text: unknown): Uint8Array<ArrayBuffer> {
  demand(typeof text === 'string')
  return required(decodeBase64url(text))
}

function reviveBigInt(rest: unknown[]): bigint {
  const [text] = exactly(rest, 1)
  demand(typeof text === 'string' && /^(?:0|-?[1-9]\d*)$/.test(text))
  return BigInt(text)
}

function reviveDate(rest: unknown[]): Date {
  const [ms] = exactly(rest, 1)
  const date = new Date(typeof ms === 'number' ? ms : Number.NaN)
  demand(ms === null || date.getTime() === ms)
  return date
}

function reviveView(rest: unknown[]): ArrayBufferView {
  const [name, text] = exactly(rest, 2)
  demand(typeof name === 'string' && VIEWS.includes(name))
  const view = (globalThis as unknown as Record<string, ViewConstructor | undefined>)[name]
  if (view === undefined) {
    throw new TidesyncError('unsupported-type', `This browser has no ${name}.`)
  }
  const { buffer } = bytesOf(text)
  const size = 'BYTES_PER_ELEMENT' in view ? Number(view.BYTES_PER_ELEMENT) : 1
  demand(buffer.byteLength % size === 0)
  return new view(buffer)
}

function reviveString(units: unknown[]): string {
  const text = units.map((unit) => {
    demand(typeof unit === 'number' && (unit & 0xffff) === unit)
    return String.fromCharCode(unit)
  })
  const whole = text.join('')
  demand(LONE_SURROGATE.test(whole))
  return whole
}

function reviveEscaped(rest: unknown[]): unknown[] {
  demand(startsLikeTag(rest))
  return reviveAll(rest)
}

/** A name of a property: a string, or a `~str` form. */
function reviveName(name: unknown): string {
  if (typeof name === 'string') return name
  demand(Array.isArray(name) && name[0] === '~str')
  return reviveString(name.slice(1))
}

function reviveObject(rest: unknown[]): object {
  const object = {}
  const names = rest.map((entry) => define(object, entry))
  demand(names.some((name) => LONE_SURROGATE.test(name)) && isAscending(names))
  return object
}

function reviveSparse([length, ...rest]: unknown[]): unknown[] {
  demand(typeof length === 'number' && length >>> 0 === length)
  const array: unknown[] = []
  array.length = length
  const indexes = rest.map(pair).flatMap(([index]) => (typeof index === 'number' ? [index] : []))
  const names = rest.slice(indexes.length).map((entry) => define(array, entry))
  demand(isAscending(indexes) && indexes.every((index) => index >>> 0 === index && index < length))
  demand(isAscending(names))
  demand(names.length > 0 || indexes.length < length)
  for (const [index, value] of rest.slice(0, indexes.length).map(pair)) {
    demand(typeof index === 'number')
    array[index] = revive(value)
  }
  return array
}

/** Defines the property of an entry, an own one even when it is called `__proto__`. */
function define(object: object, entry: unknown): string {
  const [first, value] = pair(entry)
  const name = reviveName(first)
  demand(!Array.isArray(object) || (name !== 'length' && !isIndex(name)))
  Object.defineProperty(object, name, {
    value: revive(value),
    configurable: true,
    enumerable: true,
    writable: true,
  })
  return name
}

function isAscending(values: readonly (string | number)[]): boolean {
  return values.every((value, index) => index === 0 || (values[index - 1] ?? value) < value)
}
