/**
 * The wire form of values. It is described in `crates/protocol/src/value.rs` and pinned by
 * `crates/protocol/vectors/values.json`.
 */

import { encodeBase64url } from '../base64url'
import { ERRORS, type Form, objectForm } from './objects'
import {
  DEPTH_MAX,
  isIndex,
  isPlainNumber,
  LONE_SURROGATE,
  snapshotJson,
  startsLikeTag,
} from './plain'
import { sharingOf, typeOf } from './sharing'

/** Most UTF-16 units of a wire form: no push could carry more. */
const LENGTH_MAX = 8 * 1024 * 1024

/** Most bytes of a Blob or File. */
export const BLOB_BYTES_MAX: number = 64 * 1024 * 1024

/** Most UTF-16 units of a refusal's path. */
const PATH_MAX = 256

/** Why a value has no wire form. */
export interface EncodeRefusal {
  /** For programs. */
  code: 'unsupported-type' | 'too-deep' | 'too-large' | 'blob-unreadable'
  /** Where in the value, and what: `$.photo: Blob`. Field names and types, no values; at most 256 units. */
  path: string
}

/** The SHA-256 of Blobs and Files, in base64url. */
export type BlobHashes = ReadonlyMap<object, string>

/**
 * The wire form of a value as structured clone returns it: a snapshot, or a record read back.
 *
 * `hashes` has the Blobs and Files of the value; one that is missing there could not be read.
 *
 * Not kept: the order of an object's properties, what of its buffer a view does not show, a file's
 * `webkitRelativePath`. That several references lead to one object is kept where there is a cycle.
 */
export function encodeValue(
  value: unknown,
  hashes: BlobHashes = new Map(),
): { json: string } | EncodeRefusal {
  const plain = snapshotJson(value)
  if (plain !== undefined && plain.length <= LENGTH_MAX) return { json: plain }
  const form = outcomeOf(() => new Encoder(hashes).encode(value))
  // A cycle has no end, so it shows as too much of something.
  if ('json' in form || form.code === 'unsupported-type') return form
  return outcomeOf(() => new Encoder(hashes).encodeCyclic(value))
}

function outcomeOf(encode: () => string): { json: string } | EncodeRefusal {
  try {
    return { json: encode() }
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, path: error.path }
    throw error
  }
}

class Refusal extends Error {
  constructor(
    readonly code: EncodeRefusal['code'],
    readonly path: string,
  ) {
    super(code)
  }
}

/** Where in a value something stands. */
interface Place {
  readonly around: Place | undefined
  readonly segment: string | number
}

/** The objects of a value with cycles that are referred to. */
interface Graph {
  readonly shared: ReadonlySet<object>
  /** Those that were met, in this order, each with its number and the first place where it stands. */
  readonly met: Map<object, { readonly number: number; readonly place: Place | undefined }>
}

class Encoder {
  readonly #hashes: BlobHashes
  #place: Place | undefined
  #depth = 0
  #length = 0
  #graph: Graph | undefined

  constructor(hashes: BlobHashes) {
    this.#hashes = hashes
  }

  encode(value: unknown): string {
    switch (typeof value) {
      case 'string':
        return this.#string(value)
      case 'number':
        if (isPlainNumber(value)) return this.#leaf(String(value))
        return this.#form(['~num', value === 0 ? '-0' : String(value)])
      case 'boolean':
        return this.#leaf(String(value))
      case 'bigint':
        return this.#form(['~bigint', String(value)])
      case 'undefined':
        return this.#form(['~undef'])
      case 'object':
        return value === null ? this.#leaf('null') : this.#object(value)
      default:
        throw this.#refusal('unsupported-type', typeof value)
    }
  }

  /** The same where there may be cycles: in a record as a whole, or in some of its fields. */
  encodeCyclic(value: unknown): string {
    const { shared, cyclic } = sharingOf(value)
    if (typeof value !== 'object' || value === null || cyclic.size === 0) return this.encode(value)
    if (this.#depth === 0 && typeOf(value) === 'Object' && !cyclic.has(value)) {
      const names = Object.keys(value)
      if (!names.some(hasLoneSurrogate)) {
        return this.#members(value, names, (field) => this.encodeCyclic(field))
      }
    }
    return this.#cyclic(value, shared)
  }

  #cyclic(root: object, shared: ReadonlySet<object>): string {
    const around = this.#place
    const met: Graph['met'] = new Map([[root, { number: 0, place: around }]])
    this.#graph = { shared, met }
    const text = this.#list('"~graph"', () => {
      const nodes: string[] = []
      // Those that are met on the way are visited in their turn.
      for (const [object, { place }] of met) {
        this.#place = place
        nodes.push(this.#typed(object))
      }
      return nodes
    })
    this.#graph = undefined
    this.#place = around
    return text
  }

  #object(object: object): string {
    if (this.#graph === undefined) return this.#typed(object)
    const { shared, met } = this.#graph
    if (!shared.has(object)) return this.#typed(object)
    const { number } = met.get(object) ?? { number: met.size }
    if (number === met.size) met.set(object, { number, place: this.#place })
    return this.#form(['~ref', number])
  }

  #typed(object: object): string {
    if (Array.isArray(object)) return this.#array(object)
    const type = typeOf(object)
    switch (type) {
      case 'Object':
        return this.#properties(object)
      case 'Map':
        return this.#map(object as Map<unknown, unknown>)
      case 'Set':
        return this.#list('"~set"', () => this.#all([...(object as Set<unknown>)]))
      case 'Error':
        return this.#error(object as Error)
      case 'Blob':
      case 'File':
        return this.#blob(object as Blob, type)
    }
    const form = objectForm(object, type)
    if (form === undefined) throw this.#refusal('unsupported-type', type)
    return this.#form(form)
  }

  #string(text: string): string {
    this.#fit(text.length)
    const json = quote(text)
    if (!json.includes('\\ud') || !hasLoneSurrogate(text)) return this.#leaf(json)
    this.#fit(text.length * '0,'.length)
    return this.#form(['~str', ...text.split('').map((unit) => unit.charCodeAt(0))])
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

  #properties(object: object): string {
    const names = Object.keys(object)
    if (names.some(hasLoneSurrogate)) {
      return this.#list('"~obj"', () => this.#named(object, names.sort()))
    }
    // What is referred to is numbered as it is met, and that must not depend on the order.
    if (this.#graph !== undefined) names.sort()
    return this.#members(object, names, (value) => this.encode(value))
  }

  #members(object: object, names: readonly string[], encode: (value: unknown) => string): string {
    this.#enter()
    const members = names.map((name) => {
      const text = this.#at(name, () => encode((object as Record<string, unknown>)[name]))
      return `${this.#leaf(quote(name))}:${text}`
    })
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
      [...map].map(([key, value], index) =>
        this.#at(index, () =>
          this.#entry('value', () => this.#at('key', () => this.encode(key)), value),
        ),
      ),
    )
  }

  #error(error: Error): string {
    const { name, stack } = error
    const text = (own: unknown) => (own === undefined ? 'null' : this.#string(String(own)))
    return this.#list('"~error"', () => [
      this.#string(ERRORS.includes(name) ? name : 'Error'),
      text(Object.hasOwn(error, 'message') ? error.message : undefined),
      text(stack),
      ...(Object.hasOwn(error, 'cause') ? [this.#at('cause', () => this.encode(error.cause))] : []),
    ])
  }

  #blob(blob: Blob, type: string): string {
    if (blob.size > BLOB_BYTES_MAX)
      throw this.#refusal('too-large', `${type} of ${blob.size} bytes`)
    const hash = this.#hashes.get(blob)
    if (hash === undefined) throw this.#refusal('blob-unreadable', type)
    const content = [blob.type, blob.size, hash] as const
    if (type === 'Blob') return this.#form(['~blob', ...content])
    const { name, lastModified } = blob as File
    // The end of what a date can be; beyond it browsers differ.
    if (Number.isNaN(new Date(lastModified).getTime())) {
      throw this.#refusal('unsupported-type', `${type} with a date out of range`)
    }
    return this.#form(['~file', name, lastModified, ...content])
  }

  #all(values: readonly unknown[]): string[] {
    return values.map((value, index) => this.#at(index, () => this.encode(value)))
  }

  /** `[first,value]` */
  #entry(segment: string | number, first: () => string, value: unknown): string {
    return this.#list('', () => [first(), this.#at(segment, () => this.encode(value))])
  }

  #at(segment: string | number, encode: () => string): string {
    const around = this.#place
    this.#place = { around, segment }
    const text = encode()
    this.#place = around
    return text
  }

  #list(head: string, items: () => string[]): string {
    this.#enter()
    this.#leaf(head)
    const texts = items()
    this.#depth -= 1
    return `[${head === '' ? texts.join(',') : [head, ...texts].join(',')}]`
  }

  #form([tag, ...parts]: Form): string {
    return this.#list(quote(tag), () =>
      parts.map((part) => (part instanceof Uint8Array ? this.#bytes(part) : this.encode(part))),
    )
  }

  #bytes(bytes: Uint8Array): string {
    this.#fit(bytes.length)
    return this.#leaf(quote(encodeBase64url(bytes)))
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
    let path = ''
    for (let place = this.#place; place !== undefined; place = place.around) {
      path = segmentText(place.segment) + path
    }
    return new Refusal(code, `$${path}`.slice(0, PATH_MAX - suffix.length) + suffix)
  }
}

function segmentText(segment: string | number): string {
  if (typeof segment === 'string' && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(segment)) {
    return `.${segment}`
  }
  return `[${JSON.stringify(segment)}]`
}

function hasLoneSurrogate(text: string): boolean {
  return LONE_SURROGATE.test(text)
}

function quote(text: string): string {
  return JSON.stringify(text)
}
