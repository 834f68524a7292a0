/**
 * What the engine's shell asks of TypeScript: the loops over records. Values stay here, by slot,
 * from the moment they are read until they are staged; WebAssembly sees their bytes once, in bulk.
 */

import { Kind, type LoggedRange, type LogRow } from './capture/row'
import { decodeKey, encodeKey } from './key'
import { encodeValue, snapshotJson } from './value'

/** How the app's object store finds its keys. */
export interface TableKeys {
  readonly keyPath: string | string[] | null
  readonly autoIncrement: boolean
}

/** Kinds of operations as the shell reads them. */
const OP_PUT = 0
const OP_DELETE = 1
const OP_RANGE = 2
const OP_CLEAR = 3
const OP_REFERENCE = 4

const GONE = -1
const UNSENDABLE = -2
const MISSING = -3

/** As which a value counts in a budget whose size is not known: no small one is logged so. */
const UNKNOWN_BYTES = 16 * 1024

/** Bodies below this are sent as they are: compressing them saves nothing. */
const COMPRESS_FROM_CHARS = 1024

/** A server takes no compressed body above this (docs/protocol.md); a plain one may be larger. */
const COMPRESSED_BYTES_MAX = 1024 * 1024

type Held =
  | { readonly kind: 'json'; readonly json: string; readonly table: string }
  | { readonly kind: 'value'; readonly value: unknown; readonly table: string }
  | { readonly kind: 'reference'; readonly table: string; readonly key: IDBValidKey }
  | { readonly kind: 'gone' }

type WireForm = { readonly json: string } | { readonly code: string; readonly path: string }

interface Walked {
  rows: Float64Array
  at: Float64Array
  users: string
  counts: Uint32Array
  kinds: Uint8Array
  lids: string
  numbers: Uint32Array
  firstSlot: number
}

interface Scanned {
  lids: string
  numbers: Uint32Array
  firstSlot: number
}

interface WireForms {
  bytes: Uint8Array
  ends: Float64Array
  refusals: string
}

/** The values under way between the app's database and the server. */
export class Values {
  #slots = new Map<number, Held>()
  #wire = new Map<number, string>()
  #nextSlot = 0
  readonly #tables: ReadonlyMap<string, TableKeys>

  constructor(tables: ReadonlyMap<string, TableKeys>) {
    this.#tables = tables
  }

  /** Turns log rows into operations; keeps their values where `keep` says so. */
  walk(table: string, rows: LogRow[], keep: boolean): Walked {
    const firstSlot = this.#nextSlot
    const kinds: number[] = []
    const lids: string[] = []
    const numbers: number[] = []
    for (const row of rows) {
      this.#walkRow(table, row, kinds, lids, numbers, keep)
    }
    return {
      rows: Float64Array.from(rows, (row) => row.row ?? 0),
      at: Float64Array.from(rows, (row) => row.at),
      users: rows.map((row) => userText(row.user)).join('\0'),
      counts: Uint32Array.from(rows, (row) => row.ops.length / 3),
      kinds: Uint8Array.from(kinds),
      lids: lids.join('\0'),
      numbers: Uint32Array.from(numbers),
      firstSlot,
    }
  }

  #walkRow(
    table: string,
    row: LogRow,
    kinds: number[],
    lids: string[],
    numbers: number[],
    keep: boolean,
  ): void {
    const hold = (held: Held) => {
      if (keep) {
        this.#keep(held)
      }
    }
    let start = 0
    for (let i = 0; i < row.ops.length; i += 3) {
      const kind = row.ops[i]
      const key = row.ops[i + 1]
      const extra = row.ops[i + 2] as number
      if (kind === Kind.put) {
        const json = row.json.slice(start, start + extra)
        start += extra
        hold({ kind: 'json', json, table })
        addOp(kinds, lids, numbers, OP_PUT, encodeKey(key as IDBValidKey), extra)
      } else if (kind === Kind.putTyped) {
        hold({ kind: 'value', value: row.typed?.[extra], table })
        addOp(kinds, lids, numbers, OP_PUT, encodeKey(key as IDBValidKey), UNKNOWN_BYTES)
      } else if (kind === Kind.putReference) {
        hold({ kind: 'reference', table, key: key as IDBValidKey })
        addOp(kinds, lids, numbers, OP_REFERENCE, encodeKey(key as IDBValidKey), UNKNOWN_BYTES)
      } else if (kind === Kind.delete) {
        addOp(kinds, lids, numbers, OP_DELETE, encodeKey(key as IDBValidKey), 0)
      } else if (kind === Kind.deleteRange) {
        addRange(kinds, lids, numbers, key as LoggedRange)
      } else {
        kinds.push(OP_CLEAR)
        numbers.push(0)
      }
    }
  }

  #keep(held: Held): void {
    this.#slots.set(this.#nextSlot, held)
    this.#nextSlot += 1
  }

  /** Keeps a page of an app's records. */
  scan(table: string, keys: IDBValidKey[], values: unknown[]): Scanned {
    const firstSlot = this.#nextSlot
    const numbers = new Uint32Array(keys.length)
    values.forEach((value, index) => {
      const json = snapshotJson(value)
      if (json === undefined) {
        this.#keep({ kind: 'value', value, table })
        numbers[index] = UNKNOWN_BYTES
      } else {
        this.#keep({ kind: 'json', json, table })
        numbers[index] = json.length
      }
    })
    return { lids: keys.map(encodeKey).join('\0'), numbers, firstSlot }
  }

  /** The key that a text stands for. */
  key(text: string): IDBValidKey {
    return decodeKey(text)
  }

  /** Forgets every value but those of `slots`, and names those that are still to be read. */
  references(slots: Uint32Array): { slot: number; table: string; key: IDBValidKey }[] {
    const kept = new Map<number, Held>()
    const references: { slot: number; table: string; key: IDBValidKey }[] = []
    for (const slot of slots) {
      const held = this.#slots.get(slot)
      if (held !== undefined) {
        kept.set(slot, held)
      }
      if (held?.kind === 'reference') {
        references.push({ slot, table: held.table, key: held.key })
      }
    }
    this.#slots = kept
    this.#wire.clear()
    return references
  }

  /** Gives a value that `references` named; undefined when the record is gone. */
  supply(slot: number, value: unknown): void {
    const held = this.#slots.get(slot)
    if (held?.kind === 'reference') {
      const { table } = held
      this.#slots.set(
        slot,
        value === undefined ? { kind: 'gone' } : { kind: 'value', value, table },
      )
    }
  }

  /** The wire forms behind `slots`, as bytes. */
  prepare(slots: Uint32Array): WireForms {
    const texts: string[] = []
    const refusals: string[] = []
    const marks = Array.from(slots, (slot) => {
      const held = this.#slots.get(slot)
      if (held === undefined || held.kind === 'reference') {
        return MISSING
      }
      if (held.kind === 'gone') {
        return GONE
      }
      const form = this.#wireForm(held)
      if ('code' in form) {
        refusals.push(form.code, form.path)
        return UNSENDABLE
      }
      this.#wire.set(slot, form.json)
      texts.push(form.json)
      return 0
    })
    const { bytes, ends } = encodeTexts(texts)
    let next = 0
    const placed = Float64Array.from(marks, (mark) => (mark < 0 ? mark : (ends[next++] ?? 0)))
    return { bytes, ends: placed, refusals: refusals.join('\0') }
  }

  #wireForm(held: Held & { kind: 'json' | 'value' }): WireForm {
    const keys = this.#tables.get(held.table)
    if (keys?.autoIncrement && typeof keys.keyPath === 'string') {
      const value = held.kind === 'json' ? JSON.parse(held.json) : structuredClone(held.value)
      deletePath(value, keys.keyPath)
      return wireForm(value)
    }
    return held.kind === 'json' ? { json: held.json } : wireForm(held.value)
  }

  /** Texts of operations: each head, the wire form behind its slot, and the closing brace. */
  splice(heads: string, slots: Uint32Array): string[] {
    return heads.split('\0').map((head, index) => {
      const json = this.#wire.get(slots[index] ?? -1)
      if (json === undefined) {
        throw new Error('a staged operation has no value')
      }
      return `${head}${json}}`
    })
  }
}

function addOp(
  kinds: number[],
  lids: string[],
  numbers: number[],
  kind: number,
  lid: string,
  number: number,
): void {
  kinds.push(kind)
  lids.push(lid)
  numbers.push(number)
}

/** The shape has a bit each for: a lower bound, an upper bound, lower open, upper open. */
function addRange(kinds: number[], lids: string[], numbers: number[], range: LoggedRange): void {
  const { lower, upper, lowerOpen, upperOpen } = range
  const shape =
    (lower === undefined ? 0 : 1) |
    (upper === undefined ? 0 : 2) |
    (lowerOpen ? 4 : 0) |
    (upperOpen ? 8 : 0)
  const bound = (key: unknown) => (key === undefined ? '' : encodeKey(key as IDBValidKey))
  kinds.push(OP_RANGE)
  lids.push(bound(lower), bound(upper))
  numbers.push(shape)
}

/** `o` the owner, `n` nobody, `u<id>` a user. */
export function userText(user: string | null | undefined): string {
  if (user === undefined) {
    return 'o'
  }
  return user === null ? 'n' : `u${user}`
}

function wireForm(value: unknown): WireForm {
  const json = snapshotJson(value)
  return json === undefined ? encodeValue(value) : { json }
}

/** Removes the property at a key path, if it is there. */
function deletePath(value: unknown, path: string): void {
  const names = path.split('.')
  const last = names.pop() ?? ''
  const owner = names.reduce<unknown>((at, name) => (isObject(at) ? at[name] : undefined), value)
  if (isObject(owner)) {
    delete owner[last]
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** UTF-8 of all texts, and where each ends. */
function encodeTexts(texts: string[]): { bytes: Uint8Array; ends: number[] } {
  const encoder = new TextEncoder()
  const joined = texts.join('')
  const bytes = encoder.encode(joined)
  let end = 0
  const plain = bytes.length === joined.length
  const ends = texts.map((text) => {
    end += plain ? text.length : encoder.encode(text).length
    return end
  })
  return { bytes, ends }
}

/** The body of a push, compressed where `compress` says so and it can pay. */
export async function pushBody(
  envelope: string,
  texts: string[],
  compress: boolean,
): Promise<{ body: BodyInit; encoding?: string }> {
  const body = `${envelope}${texts.join(',')}]}`
  if (!compress || body.length < COMPRESS_FROM_CHARS || typeof CompressionStream === 'undefined') {
    return { body }
  }
  const stream = new Blob([body]).stream().pipeThrough(new CompressionStream('gzip'))
  const compressed = await new Response(stream).arrayBuffer()
  return compressed.byteLength > COMPRESSED_BYTES_MAX
    ? { body }
    : { body: compressed, encoding: 'gzip' }
}
