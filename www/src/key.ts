/**
 * Keys of IndexedDB in their text form: injective and canonical, the same in Rust
 * (`crates/protocol/src/key.rs`) and pinned by `crates/protocol/vectors/keys.json`.
 */

import { decodeBase64url, encodeBase64url } from './base64url'
import { TidesyncError } from './error'

/** Deepest nesting of arrays in a key. */
const DEPTH_MAX = 64

/** What a string key must escape: `%`, U+0000 and lone surrogates. */
const ESCAPED = /[%\0]|\p{Surrogate}/u
const ESCAPED_ALL = /[%\0]|\p{Surrogate}/gu

/**
 * The text form of a key.
 *
 * @throws TidesyncError `bad-key` where the value is no valid key or nests more than 64 arrays.
 */
export function encodeKey(key: IDBValidKey): string {
  return encode(key, 0)
}

/** The text form of a key that IndexedDB has accepted; undefined where it nests too many arrays to have one. */
export function keyText(key: IDBValidKey): string | undefined {
  try {
    return encodeKey(key)
  } catch (error) {
    if (error instanceof TidesyncError) return undefined
    throw error
  }
}

function encode(key: unknown, depth: number): string {
  if (typeof key === 'string') return `s${ESCAPED.test(key) ? escapeText(key) : key}`
  if (typeof key === 'number' && !Number.isNaN(key)) return `n${key}`
  if (Array.isArray(key)) return encodeArray(key, depth)
  if (ArrayBuffer.isView(key)) {
    return `b${encodeBase64url(new Uint8Array(key.buffer, key.byteOffset, key.byteLength))}`
  }
  if (isBuffer(key)) return `b${encodeBase64url(new Uint8Array(key))}`
  if (isDate(key) && !Number.isNaN(key.getTime())) return `d${key.getTime()}`
  throw badKey('The value is not a valid IndexedDB key.')
}

function encodeArray(elements: readonly unknown[], depth: number): string {
  if (depth === DEPTH_MAX) throw badKey(`The key nests more than ${DEPTH_MAX} arrays.`)
  let text = 'a'
  for (const element of elements) {
    const part = encode(element, depth + 1)
    text += `${part.length}:${part}`
  }
  return text
}

function escapeText(text: string): string {
  return text.replace(ESCAPED_ALL, (character) => {
    if (character === '%') return '%25'
    if (character === '\0') return '%00'
    return `%u${character.charCodeAt(0).toString(16).toUpperCase()}`
  })
}

/**
 * The key of a text form. Binary keys come as `ArrayBuffer`, as IndexedDB returns them.
 *
 * @throws TidesyncError `bad-key` where the text is not the text form of any key.
 */
export function decodeKey(text: string): IDBValidKey {
  const key = decode(text, 0)
  if (key === undefined || encodeKey(key) !== text) throw badKey('The text is not a key.')
  return key
}

function decode(text: string, depth: number): IDBValidKey | undefined {
  const rest = text.slice(1)
  switch (text[0]) {
    case 'n':
      return Number(rest)
    case 'd':
      return new Date(Number(rest))
    case 's':
      return rest.replace(/%(?:u(....)|(..))/gs, (_, unit, byte) =>
        String.fromCharCode(Number.parseInt(unit ?? byte, 16)),
      )
    case 'b':
      return decodeBase64url(rest)?.buffer
    case 'a':
      return decodeArray(rest, depth)
    default:
      return undefined
  }
}

function decodeArray(text: string, depth: number): IDBValidKey[] | undefined {
  if (depth === DEPTH_MAX) return undefined
  const elements: IDBValidKey[] = []
  for (let at = 0; at < text.length; ) {
    const colon = text.indexOf(':', at)
    const start = colon + 1
    const end = start + Number(text.slice(at, colon))
    const element =
      colon > at && end > start ? decode(text.slice(start, end), depth + 1) : undefined
    if (element === undefined) return undefined
    elements.push(element)
    at = end
  }
  return elements
}

function isDate(value: unknown): value is Date {
  return Object.prototype.toString.call(value) === '[object Date]'
}

function isBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]'
}

function badKey(message: string): TidesyncError {
  return new TidesyncError('bad-key', message)
}
