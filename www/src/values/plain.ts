/** Values that are plain JSON: the snapshot that capture takes. */

/** Deepest nesting of arrays and objects in a wire form. */
export const DEPTH_MAX = 64

/** Most arrays and objects of a snapshot: shared references can make a small value endless. */
const CONTAINERS_MAX = 65_536

/** A surrogate without its other half. */
export const LONE_SURROGATE: RegExp = /\p{Surrogate}/u

/** An escaped surrogate of JSON text, which `JSON.stringify` writes for lone ones only. */
const ESCAPED_SURROGATE = /(?:^|[^\\])(?:\\\\)*\\ud[89a-f]/

const { hasOwnProperty: hasOwn } = Object.prototype

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

/** Whether JSON has a number. */
export function isPlainNumber(value: number): boolean {
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

/** Whether an array begins like a tagged form. */
export function startsLikeTag(array: readonly unknown[]): boolean {
  const first = array[0]
  return typeof first === 'string' && first.charCodeAt(0) === 0x7e
}

/** Whether a property name is an array index. */
export function isIndex(name: string): boolean {
  const index = Number(name) >>> 0
  return String(index) === name && index !== 0xffff_ffff
}
