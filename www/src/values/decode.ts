/** The way back from the wire form of values (see `encode.ts`). */

import { TidesyncError } from '../error'
import { badForm, demand } from './demand'
import { BLOB_BYTES_MAX } from './encode'
import { bytesOf, ERRORS, reviveObject, textOf } from './objects'
import { DEPTH_MAX, isIndex, isPlainNumber, LONE_SURROGATE, startsLikeTag } from './plain'

/** The bytes of a SHA-256. */
const SHA256_BYTES = 32

/** The bytes of Blobs and Files, by their hashes. */
export interface BlobBytes {
  get(hash: string): Blob | undefined
}

/**
 * The value of a wire form.
 *
 * @throws TidesyncError `bad-value` where the text is no wire form (it is trusted in what
 * `JSON.parse` does not tell: names that occur twice, lone surrogates), `unsupported-type` where this
 * browser lacks what the form names, `blob-missing` where a Blob is not among `blobs`.
 */
export function decodeValue(json: string, blobs?: BlobBytes): unknown {
  return reviveValue(parse(json), blobs)
}

/** The same for a form that is parsed already: `parsed` is used up. */
export function reviveValue(parsed: unknown, blobs: BlobBytes = new Map()): unknown {
  return new Decoder(blobs).revive(parsed)
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    throw badForm()
  }
}

/** An object, and what puts its values into it. */
type Begun = readonly [object: unknown, fill?: () => void]

class Decoder {
  readonly #blobs: BlobBytes
  #depth = 0
  /** Within a value with cycles: the objects that are referred to. */
  #nodes: readonly unknown[] | undefined
  #referred = false

  constructor(blobs: BlobBytes) {
    this.#blobs = blobs
  }

  revive(parsed: unknown): unknown {
    if (typeof parsed === 'number') demand(isPlainNumber(parsed))
    if (typeof parsed !== 'object' || parsed === null) return parsed
    return this.#deeper(() => {
      const [object, fill] = this.#begin(parsed)
      fill?.()
      return object
    })
  }

  #deeper<T>(read: () => T): T {
    demand(this.#depth < DEPTH_MAX)
    this.#depth += 1
    const value = read()
    this.#depth -= 1
    return value
  }

  #begin(parsed: object): Begun {
    if (!Array.isArray(parsed)) return [parsed, () => this.#members(parsed)]
    if (!startsLikeTag(parsed)) return [parsed, () => this.#elements(parsed)]
    const [tag, ...parts] = parsed
    switch (tag) {
      case '~array':
        demand(startsLikeTag(parts))
        return [parts, () => this.#elements(parts)]
      case '~map': {
        const map = new Map()
        return [map, () => this.#entries(parts, (key, value) => map.set(this.revive(key), value()))]
      }
      case '~set': {
        const set = new Set()
        const fill = () => {
          for (const part of parts) set.add(this.revive(part))
        }
        return [set, fill]
      }
      case '~sparse':
        return this.#sparse(parts)
      case '~obj': {
        const object = {}
        return [object, () => this.#named(object, parts)]
      }
      case '~error':
        return this.#error(parts)
      case '~box':
        return [this.#box(parts)]
      case '~blob':
        demand(parts.length === 3)
        return [this.#blob(parts, (bytes, type) => new Blob([bytes], { type }))]
      case '~file':
        return [this.#file(parts)]
      case '~graph':
        return [this.#graph(parts)]
      case '~ref':
        return [this.#reference(parts)]
      default:
        return [reviveObject(tag, parts)]
    }
  }

  #members(object: object): void {
    const members = object as Record<string, unknown>
    for (const name of Object.keys(members)) members[name] = this.revive(members[name])
  }

  #elements(values: unknown[]): void {
    for (const [index, value] of values.entries()) values[index] = this.revive(value)
  }

  /** Reads `[first,value]` pairs. */
  #entries(parts: unknown[], take: (first: unknown, value: () => unknown) => void): void {
    for (const entry of parts) {
      demand(Array.isArray(entry) && entry.length === 2)
      this.#deeper(() => take(entry[0], () => this.revive(entry[1])))
    }
  }

  #named(object: object, parts: unknown[]): void {
    let last: string | undefined
    let lone = false
    this.#entries(parts, (first, value) => {
      const name = textOf(first)
      demand(last === undefined || last < name)
      lone ||= LONE_SURROGATE.test(name)
      define(object, name, value(), true)
      last = name
    })
    demand(lone)
  }

  #sparse([length, ...parts]: unknown[]): Begun {
    demand(typeof length === 'number' && length >>> 0 === length)
    const array: unknown[] = []
    array.length = length
    const fill = () => {
      let lastIndex = -1
      let lastName: string | undefined
      let indexes = 0
      this.#entries(parts, (first, value) => {
        if (typeof first === 'number') {
          demand(lastName === undefined && first > lastIndex && first < length)
          demand(Number.isInteger(first))
          lastIndex = first
          indexes += 1
          define(array, first, value(), true)
        } else {
          const name = textOf(first)
          demand(lastName === undefined || lastName < name)
          demand(name !== 'length' && !isIndex(name))
          lastName = name
          define(array, name, value(), true)
        }
      })
      demand(lastName !== undefined || indexes < length)
    }
    return [array, fill]
  }

  #error(parts: unknown[]): Begun {
    const [name, message, stack, cause] = parts
    demand(parts.length === 3 || parts.length === 4)
    demand(typeof name === 'string' && ERRORS.includes(name))
    const type = (globalThis as unknown as Record<string, ErrorConstructor | undefined>)[name]
    const error = new (type ?? Error)()
    if (message !== null) define(error, 'message', textOf(message), false)
    define(error, 'stack', stack === null ? undefined : textOf(stack), false)
    if (parts.length === 3) return [error]
    return [error, () => define(error, 'cause', this.revive(cause), false)]
  }

  #box(parts: unknown[]): unknown {
    demand(parts.length === 1)
    const value = this.revive(parts[0])
    demand(['number', 'string', 'boolean', 'bigint'].includes(typeof value))
    return Object(value)
  }

  #file([name, lastModified, ...parts]: unknown[]): File {
    demand(typeof name === 'string' && typeof lastModified === 'number' && parts.length === 3)
    demand(new Date(lastModified).getTime() === lastModified)
    const file = this.#blob(parts, (bytes, type) => new File([bytes], name, { type, lastModified }))
    demand(file.name === name && file.lastModified === lastModified)
    return file
  }

  #blob<T extends Blob>(parts: unknown[], make: (bytes: Blob, type: string) => T): T {
    const [type, size, hash] = parts
    demand(typeof type === 'string' && typeof size === 'number' && typeof hash === 'string')
    demand(size >>> 0 === size && size <= BLOB_BYTES_MAX && bytesOf(hash).length === SHA256_BYTES)
    const bytes = this.#blobs.get(hash)
    if (bytes === undefined) {
      throw new TidesyncError('blob-missing', 'The bytes of a Blob are not at hand.')
    }
    const blob = make(bytes, type)
    demand(bytes.size === size && blob.type === type)
    return blob
  }

  /** Makes all that is referred to before any of it is filled, so that a long way through is no deep one. */
  #graph(parts: unknown[]): unknown {
    demand(this.#nodes === undefined)
    this.#nodes = []
    const begun = parts.map((part) => {
      demand(typeof part === 'object' && part !== null)
      demand(!Array.isArray(part) || part[0] !== '~ref')
      const node = this.#deeper(() => this.#begin(part))
      demand(typeof node[0] === 'object' && node[0] !== null)
      return node
    })
    this.#nodes = begun.map(([object]) => object)
    for (const [, fill] of begun) this.#deeper(() => fill?.())
    demand(this.#referred)
    this.#nodes = undefined
    return begun[0]?.[0]
  }

  #reference(parts: unknown[]): unknown {
    const [number] = parts
    demand(parts.length === 1 && typeof number === 'number')
    const node = this.#nodes?.[number]
    demand(node !== undefined)
    this.#referred = true
    return node
  }
}

/** Defines an own property, also one that is called `__proto__`. */
function define(object: object, name: PropertyKey, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, name, { value, configurable: true, enumerable, writable: true })
}
