/**
 * The values under way between the app's database and the server: kept here by slot from the moment
 * they are read until they are staged. WebAssembly sees their bytes once, in bulk.
 */

import { Kind, type LoggedRange, type LogRow as StoredRow } from '../capture/row'
import { keyText } from '../key'
import { type BlobHashes, encodeValue } from '../values/encode'
import { snapshotJson } from '../values/plain'
import { type BlobMap, byHash, canHash, hashBlobs } from './blob-lane'
import type { TableKeys } from './connection'
import type { LogOp, LogRow, PreparedValue, RowUser, ScanRecord } from './interface'
import { StorageFailure } from './storage'

/** As which a value counts in a budget whose size is not known: no small one is logged so. */
const UNKNOWN_BYTES = 16 * 1024

type Held =
  | { readonly kind: 'json'; readonly json: string; readonly table: string }
  | { readonly kind: 'value'; readonly value: unknown; readonly table: string }
  | { readonly kind: 'reference'; readonly table: string; readonly key: IDBValidKey }
  | { readonly kind: 'gone' }

type WireForm = { readonly json: string } | { readonly code: string; readonly path: string }

/** Hashes the Blobs of values. */
type Hash = (values: readonly unknown[]) => Promise<ReadonlyMap<Blob, string>>

/** A value as it is to be sent, as text or still to be encoded; undefined where its record is gone. */
type Sendable = { readonly json: string } | { readonly value: unknown } | undefined

/** A value that is logged by its record's key, to be read from there. */
export interface Reference {
  readonly slot: number
  readonly table: string
  readonly key: IDBValidKey
}

/** Wire forms, one after the other, and what became of each value. */
export interface WireForms {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly values: readonly PreparedValue[]
}

/** The values, by slot. */
export class Slots {
  #slots = new Map<number, Held>()
  #wire = new Map<number, string>()
  #nextSlot = 0
  readonly #keysOf: (table: string) => TableKeys | undefined
  readonly #nameless: (table: string) => void

  /**
   * `keysOf` tells how a table's store finds its keys; `nameless` hears of a record that is left out,
   * since its key has no text.
   */
  constructor(
    keysOf: (table: string) => TableKeys | undefined,
    nameless: (table: string) => void = () => undefined,
  ) {
    this.#keysOf = keysOf
    this.#nameless = nameless
  }

  /** Turns a log row into operations; keeps its values where `keep` says so. */
  walk(table: string, row: StoredRow, keep: boolean): LogRow {
    const ops: LogOp[] = []
    const add = (op: LogOp | undefined) => {
      if (op !== undefined) ops.push(op)
      else if (keep) this.#nameless(table)
    }
    let start = 0
    for (let i = 0; i < row.ops.length; i += 3) {
      const key = row.ops[i + 1] as IDBValidKey
      const extra = row.ops[i + 2] as number
      switch (row.ops[i]) {
        case Kind.put: {
          const json = row.json.slice(start, start + extra)
          start += extra
          add(this.#put(key, { kind: 'json', json, table }, extra, keep))
          break
        }
        case Kind.putTyped: {
          const value = row.typed?.[extra]
          add(this.#put(key, { kind: 'value', value, table }, UNKNOWN_BYTES, keep))
          break
        }
        case Kind.putReference:
          add(this.#put(key, { kind: 'reference', table, key }, UNKNOWN_BYTES, keep))
          break
        case Kind.delete:
          add(deletion(key))
          break
        case Kind.deleteRange:
          add(deleteRange(row.ops[i + 1] as LoggedRange))
          break
        default:
          add({ kind: 'clear' })
      }
    }
    return { table, row: row.row ?? 0, atMs: row.at, user: rowUser(row.user), ops }
  }

  #put(key: IDBValidKey, held: Held, bytes: number, keep: boolean): LogOp | undefined {
    const lid = keyText(key)
    if (lid === undefined) return undefined
    const slot = keep ? this.#keep(held) : 0
    return { kind: 'put', lid, slot, bytes, reference: held.kind === 'reference' }
  }

  #keep(held: Held): number {
    const slot = this.#nextSlot
    this.#nextSlot += 1
    this.#slots.set(slot, held)
    return slot
  }

  /** Keeps a page of an app's records. */
  scan(table: string, keys: readonly IDBValidKey[], values: readonly unknown[]): ScanRecord[] {
    return values.flatMap((value, index) => {
      const lid = keyText(keys[index] as IDBValidKey)
      if (lid === undefined) {
        this.#nameless(table)
        return []
      }
      const json = snapshotJson(value)
      const held: Held =
        json === undefined ? { kind: 'value', value, table } : { kind: 'json', json, table }
      return {
        lid,
        slot: this.#keep(held),
        bytes: json === undefined ? UNKNOWN_BYTES : json.length,
      }
    })
  }

  /** Forgets every value but those of `slots`, and names those that are still to be read. */
  references(slots: readonly number[]): Reference[] {
    const kept = new Map<number, Held>()
    const references: Reference[] = []
    for (const slot of slots) {
      const held = this.#slots.get(slot)
      if (held !== undefined) kept.set(slot, held)
      if (held?.kind === 'reference') references.push({ slot, table: held.table, key: held.key })
    }
    this.#slots = kept
    this.#wire.clear()
    return references
  }

  /** Gives a value that `references` named; undefined when the record is gone. */
  supply({ slot, table }: Reference, value: unknown): void {
    this.#slots.set(slot, value === undefined ? { kind: 'gone' } : { kind: 'value', value, table })
  }

  /**
   * The wire forms behind `slots`, then those of `records`, which are undefined where they are gone.
   * `hash` hashes the Blobs of values.
   */
  async prepare(
    slots: readonly number[],
    records: readonly { readonly table: string; readonly value: unknown }[],
    hash: Hash,
  ): Promise<WireForms> {
    const forms = await wireForms(
      [
        ...slots.map((slot) => this.#sendableOf(this.#slots.get(slot))),
        ...records.map(({ table, value }) =>
          value === undefined ? undefined : this.#withoutKey({ kind: 'value', value, table }),
        ),
      ],
      hash,
    )
    for (const [index, slot] of slots.entries()) {
      const form = forms[index]
      if (form !== undefined && 'json' in form) this.#wire.set(slot, form.json)
    }
    const texts = forms.flatMap((form) => (form !== undefined && 'json' in form ? [form.json] : []))
    const { bytes, ends } = encodeTexts(texts)
    let next = 0
    const values = forms.map((form): PreparedValue => {
      if (form === undefined) return { is: 'gone' }
      if ('code' in form) return { is: 'unsendable', ...form }
      return { is: 'wire', end: ends[next++] ?? 0 }
    })
    return { bytes, values }
  }

  #sendableOf(held: Held | undefined): Sendable {
    if (held === undefined || held.kind === 'reference') {
      throw new StorageFailure({ kind: 'other', name: 'ValueMissing' })
    }
    return held.kind === 'gone' ? undefined : this.#withoutKey(held)
  }

  /** A generated key means nothing on other devices: it is left out. */
  #withoutKey(held: Held & { kind: 'json' | 'value' }): NonNullable<Sendable> {
    const keys = this.#keysOf(held.table)
    if (!keys?.autoIncrement || typeof keys.keyPath !== 'string') return held
    const value = held.kind === 'json' ? JSON.parse(held.json) : structuredClone(held.value)
    deletePath(value, keys.keyPath)
    return { value }
  }

  /** The wire form of a value as the app has it, and the Blobs that it names. */
  async wireFormOf(
    table: string,
    value: unknown,
  ): Promise<WireForm & { readonly blobs?: BlobMap }> {
    let blobs: BlobMap | undefined
    const sendable = this.#withoutKey({ kind: 'value', value, table })
    const [form] = await wireForms([sendable], async (values) => {
      const hashes = await hashBlobs(values)
      blobs = byHash(hashes)
      return hashes
    })
    if (form === undefined) throw new StorageFailure({ kind: 'other', name: 'ValueMissing' })
    return { ...form, ...(blobs && { blobs }) }
  }

  /** The text of an operation: its head, the wire form behind its slot, and the closing brace. */
  splice(head: string, slot: number): string {
    const json = this.#wire.get(slot)
    if (json === undefined) throw new StorageFailure({ kind: 'other', name: 'ValueMissing' })
    return `${head}${json}}`
  }
}

function deletion(key: IDBValidKey): LogOp | undefined {
  const lid = keyText(key)
  return lid === undefined ? undefined : { kind: 'delete', lid }
}

function deleteRange({ lower, upper, lowerOpen, upperOpen }: LoggedRange): LogOp | undefined {
  const bound = (key: IDBValidKey | undefined) => (key === undefined ? null : keyText(key))
  const [from, to] = [bound(lower), bound(upper)]
  if (from === undefined || to === undefined) return undefined
  return { kind: 'deleteRange', lower: from, upper: to, lowerOpen, upperOpen }
}

/** Under whom a row was written. What is no user's name is nobody's. */
export function rowUser(user: string | null | undefined): RowUser {
  if (user === undefined) return 'owner'
  return typeof user === 'string' ? { user } : 'nobody'
}

/** Most values have no Blobs: they are looked for where encoding has met one. */
async function wireForms(
  sendable: readonly Sendable[],
  hash: Hash,
): Promise<(WireForm | undefined)[]> {
  const forms = sendable.map((it) => it && wireForm(it))
  const lacks = (_: unknown, index: number) => {
    const form = forms[index]
    return form !== undefined && 'code' in form && form.code === 'blob-unreadable'
  }
  const hashes = await hash(
    sendable.filter(lacks).flatMap((it) => (it && 'value' in it ? [it.value] : [])),
  )
  return sendable.map((it, index) => (it && lacks(it, index) ? formWith(it, hashes) : forms[index]))
}

function formWith(sendable: NonNullable<Sendable>, hashes: BlobHashes): WireForm {
  const form = wireForm(sendable, hashes)
  const blind = 'code' in form && form.code === 'blob-unreadable' && !canHash()
  return blind ? { ...form, code: 'insecure-context' } : form
}

function wireForm(sendable: NonNullable<Sendable>, hashes?: BlobHashes): WireForm {
  return 'json' in sendable ? { json: sendable.json } : encodeValue(sendable.value, hashes)
}

/** Removes the property at a key path, if it is there. */
function deletePath(value: unknown, path: string): void {
  const names = path.split('.')
  const last = names.pop() ?? ''
  const owner = names.reduce<unknown>((at, name) => (isObject(at) ? at[name] : undefined), value)
  if (isObject(owner)) delete owner[last]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

/** UTF-8 of all texts, and where each ends. */
function encodeTexts(texts: string[]): { bytes: Uint8Array<ArrayBuffer>; ends: number[] } {
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
