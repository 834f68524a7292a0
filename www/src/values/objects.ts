/** Objects that hold no other values, in both directions: their tagged forms. */

import { decodeBase64url } from '../base64url'
import { TidesyncError } from '../error'
import { demand } from './demand'
import { LONE_SURROGATE } from './plain'

/** A form's tag and what follows it; bytes become base64url. */
export type Form = readonly [tag: string, ...parts: unknown[]]

/** Errors that structured clone keeps; every other one is an `Error`. */
export const ERRORS: readonly string[] = [
  'Error',
  'EvalError',
  'RangeError',
  'ReferenceError',
  'SyntaxError',
  'TypeError',
  'URIError',
]

const VIEWS: readonly string[] = [
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

const COLOR_SPACES: readonly unknown[] = ['srgb', 'display-p3']

/** The form of an object of a type; undefined where it has none. */
export function objectForm(object: object, type: string): Form | undefined {
  if (ArrayBuffer.isView(object)) {
    const { buffer, byteOffset, byteLength } = object
    if (isResizable(buffer)) return undefined
    return ['~view', type, new Uint8Array(buffer, byteOffset, byteLength)]
  }
  switch (type) {
    case 'Date': {
      const ms = (object as Date).getTime()
      return ['~date', Number.isNaN(ms) ? null : ms]
    }
    case 'ArrayBuffer': {
      const buffer = object as ArrayBuffer
      return isResizable(buffer) ? undefined : ['~buf', new Uint8Array(buffer)]
    }
    case 'RegExp':
      return ['~regexp', (object as RegExp).source, (object as RegExp).flags]
    case 'DOMException':
      return ['~exception', (object as DOMException).name, (object as DOMException).message]
    case 'Number':
    case 'String':
    case 'Boolean':
    case 'BigInt':
      return ['~box', object.valueOf()]
    case 'ImageData':
      return imageForm(object as ImageData)
    default:
      return geometryForm(object, type)
  }
}

/** A buffer whose length may change keeps that in a clone, and has no form that would. */
function isResizable(buffer: ArrayBufferLike): boolean {
  return (buffer as { resizable?: boolean }).resizable === true
}

function imageForm({ data, width, colorSpace }: ImageData): Form | undefined {
  if (!(data instanceof Uint8ClampedArray) || !COLOR_SPACES.includes(colorSpace)) return undefined
  return ['~image', colorSpace, width, new Uint8Array(data.buffer, data.byteOffset, data.length)]
}

function geometryForm(object: object, type: string): Form | undefined {
  const numbers = numbersOf(object, type.replace('ReadOnly', ''))
  if (numbers === undefined) return undefined
  return ['~geometry', type, new Uint8Array(Float64Array.from(numbers).buffer)]
}

function numbersOf(object: object, type: string): number[] | undefined {
  switch (type) {
    case 'DOMPoint': {
      const { x, y, z, w } = object as DOMPoint
      return [x, y, z, w]
    }
    case 'DOMRect': {
      const { x, y, width, height } = object as DOMRect
      return [x, y, width, height]
    }
    case 'DOMQuad': {
      const { p1, p2, p3, p4 } = object as DOMQuad
      return [p1, p2, p3, p4].flatMap(({ x, y, z, w }) => [x, y, z, w])
    }
    case 'DOMMatrix': {
      const matrix = object as DOMMatrix
      const { a, b, c, d, e, f } = matrix
      return matrix.is2D ? [a, b, c, d, e, f] : [...matrix.toFloat64Array()]
    }
    default:
      return undefined
  }
}

/** The value of a form whose parts are `parts`. */
export function reviveObject(tag: unknown, parts: readonly unknown[]): unknown {
  const reviver = REVIVERS.get(tag)
  demand(reviver !== undefined)
  return reviver(parts)
}

const NUMBERS: ReadonlyMap<unknown, number> = new Map([
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
  ['-0', -0],
])

type Reviver = (parts: readonly unknown[]) => unknown

const REVIVERS = new Map<unknown, Reviver>([
  ['~undef', exactly(0, () => undefined)],
  ['~num', exactly(1, (name) => required(NUMBERS.get(name)))],
  ['~bigint', exactly(1, reviveBigInt)],
  ['~date', exactly(1, reviveDate)],
  ['~buf', exactly(1, (text) => bytesOf(text).buffer)],
  ['~view', exactly(2, reviveView)],
  ['~str', reviveString],
  ['~regexp', exactly(2, reviveRegExp)],
  ['~exception', exactly(2, reviveException)],
  ['~geometry', exactly(2, reviveGeometry)],
  ['~image', exactly(3, reviveImage)],
])

/** What takes a fixed number of parts, at most three. */
function exactly(
  count: number,
  revive: (one: unknown, two: unknown, three: unknown) => unknown,
): Reviver {
  return (parts) => {
    demand(parts.length === count)
    return revive(parts[0], parts[1], parts[2])
  }
}

function required<T>(value: T | undefined): T {
  demand(value !== undefined)
  return value
}

/** The bytes of a base64url text. */
export function bytesOf(text: unknown): Uint8Array<ArrayBuffer> {
  demand(typeof text === 'string')
  return required(decodeBase64url(text))
}

function reviveBigInt(text: unknown): bigint {
  demand(typeof text === 'string' && /^(?:0|-?[1-9]\d*)$/.test(text))
  return BigInt(text)
}

function reviveDate(ms: unknown): Date {
  const date = new Date(typeof ms === 'number' ? ms : Number.NaN)
  demand(ms === null || date.getTime() === ms)
  return date
}

function reviveView(name: unknown, text: unknown): unknown {
  demand(typeof name === 'string' && VIEWS.includes(name))
  const { buffer } = bytesOf(text)
  return made(name, (view) => {
    const size = 'BYTES_PER_ELEMENT' in view ? Number(view.BYTES_PER_ELEMENT) : 1
    demand(buffer.byteLength % size === 0)
    return new view(buffer)
  })
}

/** A string with lone surrogates. */
function reviveString(units: readonly unknown[]): string {
  const text = units.map((unit) => {
    demand(typeof unit === 'number' && (unit & 0xffff) === unit)
    return String.fromCharCode(unit)
  })
  const whole = text.join('')
  demand(LONE_SURROGATE.test(whole))
  return whole
}

/** A text that may have lone surrogates, but for the empty one. */
export function textOf(part: unknown): string {
  if (typeof part === 'string') return part
  demand(Array.isArray(part) && part[0] === '~str')
  return reviveString(part.slice(1))
}

function reviveRegExp(source: unknown, flags: unknown): unknown {
  demand(typeof flags === 'string' && /^d?g?i?m?s?(?:u|v)?y?$/.test(flags))
  const text = textOf(source)
  demand(text !== '')
  return made('RegExp', (type) => {
    const regexp = new type(text, flags) as RegExp
    // What this browser would write in another way is another expression on other devices.
    if (regexp.source !== text || regexp.flags !== flags) throw new SyntaxError()
    return regexp
  })
}

function reviveException(name: unknown, message: unknown): unknown {
  const texts = [textOf(message), textOf(name)]
  return made('DOMException', (type) => new type(...texts))
}

const POINT = 'DOMPoint'

function reviveGeometry(name: unknown, text: unknown): unknown {
  demand(typeof name === 'string')
  const numbers = [...new Float64Array(wholeDoubles(text))]
  const { length } = numbers
  const kind = name.replace(/ReadOnly$/, '')
  demand(
    (length === 4 && (kind === POINT || kind === 'DOMRect')) ||
      ((length === 6 || length === 16) && kind === 'DOMMatrix') ||
      (length === 16 && name === 'DOMQuad'),
  )
  return made(name, (type) => {
    if (kind === 'DOMMatrix') return new type(numbers)
    if (kind !== 'DOMQuad') return new type(...numbers)
    return new type(
      ...[0, 4, 8, 12].map((at) => made(POINT, (p) => new p(...numbers.slice(at, at + 4)))),
    )
  })
}

function wholeDoubles(text: unknown): ArrayBuffer {
  const { buffer } = bytesOf(text)
  demand(buffer.byteLength % 8 === 0)
  return buffer
}

function reviveImage(colorSpace: unknown, width: unknown, text: unknown): unknown {
  demand(COLOR_SPACES.includes(colorSpace) && typeof width === 'number' && width >>> 0 === width)
  const bytes = new Uint8ClampedArray(bytesOf(text).buffer)
  const height = bytes.length / width / 4
  demand(height > 0 && Number.isInteger(height))
  return made('ImageData', (type) => new type(bytes, width, height, { colorSpace }))
}

type Constructor = new (...parts: unknown[]) => unknown

/** Makes an object that a browser need not have. */
function made(name: string, make: (type: Constructor) => unknown): unknown {
  const type = (globalThis as unknown as Record<string, Constructor | undefined>)[name]
  try {
    if (type !== undefined) return make(type)
  } catch (error) {
    if (error instanceof TidesyncError) throw error
  }
  throw new TidesyncError('unsupported-type', `This browser cannot make this ${name}.`)
}
