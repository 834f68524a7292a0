/** The hashes of `crates/protocol/src/hash.rs`, computed a second time from their description. */

import { canonicalBytes } from '../canonical'
import { siphash24 } from './siphash'

const PUBLIC_KEY = new Uint8Array(16)
const FIELDS_MAX = 256

export interface HashedOp {
  table: string
  rid: string
  base: number
  value?: string
  set?: Record<string, string>
  unset?: string[]
}

/** The two hashes of a value: under `key`, and under the public key. */
export function hashes(key: Uint8Array, json: string): [string, string] {
  const bytes = canonicalBytes(json)
  return [siphash24(key, bytes), siphash24(PUBLIC_KEY, bytes)]
}

function utf8(text: string): Buffer {
  return Buffer.from(text, 'utf8')
}

function byUtf8(one: string, other: string): number {
  return Buffer.compare(utf8(one), utf8(other))
}

/** The texts of the top-level fields of a plain object, or undefined where it is hashed whole. */
export function fieldsOf(json: string): [string, string][] | undefined {
  const value: unknown = JSON.parse(json)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const names = Object.keys(value).sort(byUtf8)
  if (names.length > FIELDS_MAX) return undefined
  return names.map((name) => [name, JSON.stringify((value as Record<string, unknown>)[name])])
}

function u32(count: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(count).buffer)
}

function u64(number: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(number).buffer)
}

function text(value: string): Uint8Array {
  return Buffer.concat([u32(utf8(value).length), utf8(value)])
}

function digest(json: string): Uint8Array {
  return u64(BigInt(`0x${siphash24(PUBLIC_KEY, canonicalBytes(json))}`))
}

function fieldBytes(fields: [string, string][]): Uint8Array {
  return Buffer.concat([
    u32(fields.length),
    ...fields.flatMap(([name, json]) => [text(name), digest(json)]),
  ])
}

function contentBytes(op: HashedOp): Uint8Array[] {
  if (op.value !== undefined) {
    const fields = fieldsOf(op.value)
    return fields === undefined
      ? [Uint8Array.of(2), digest(op.value)]
      : [Uint8Array.of(1), fieldBytes(fields)]
  }
  if (op.set === undefined || op.unset === undefined) return []
  const set = Object.entries(op.set).sort(([one], [other]) => byUtf8(one, other))
  return [fieldBytes(set), u32(op.unset.length), ...[...op.unset].sort(byUtf8).map(text)]
}

/** The hash of an operation's content. */
export function opHash(op: HashedOp): string {
  const kind = op.value !== undefined ? 1 : op.set !== undefined ? 2 : 3
  const bytes = Buffer.concat([
    text(op.table),
    text(op.rid),
    Uint8Array.of(kind),
    u64(BigInt(op.base)),
    ...contentBytes(op),
  ])
  return siphash24(PUBLIC_KEY, bytes)
}
