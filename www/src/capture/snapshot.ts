/** Fixes keys and values at the moment of a call, as IndexedDB itself does. Nothing in here throws. */

import { snapshotJson } from '../values/plain'
import { Kind, MAX_VALUE_SIZE } from './row'

/** A value as it was when it was written. */
export interface Snapshot {
  readonly kind: Kind
  readonly value: unknown
  /** About what it adds to a row. */
  readonly size: number
}

const REFERENCE: Snapshot = { kind: Kind.putReference, value: undefined, size: 0 }

/**
 * Takes the snapshot of a value that IndexedDB has just accepted. Accessor properties run again here: twice when
 * the value is plain JSON, else up to three times. What cannot be taken again is logged by reference: staging then
 * reads what was stored.
 */
export function snapshot(value: unknown): Snapshot {
  try {
    const text = snapshotJson(value)
    if (text === undefined) return typedSnapshot(value)
    if (text.length > MAX_VALUE_SIZE) return REFERENCE
    return { kind: Kind.put, value: text, size: text.length }
  } catch {
    return REFERENCE
  }
}

function typedSnapshot(value: unknown): Snapshot {
  const size = weigh(value)
  if (size > MAX_VALUE_SIZE) return REFERENCE
  return { kind: Kind.putTyped, value: structuredClone(value), size }
}

/** About the bytes of a value, counted until it is clear that they are more than a log row may carry. */
function weigh(root: unknown): number {
  const seen = new Set<object>()
  const waiting: unknown[] = [root]
  let size = 0
  while (waiting.length > 0 && size <= MAX_VALUE_SIZE) {
    const value = waiting.pop()
    size += 8
    if (typeof value === 'string') size += value.length
    else if (typeof value === 'bigint') size += value.toString(16).length
    else if (typeof value === 'object' && value !== null && !seen.has(value)) {
      seen.add(value)
      size += weighObject(value, waiting)
    }
  }
  return size
}

function weighObject(value: object, waiting: unknown[]): number {
  if (value instanceof Blob) return value.size
  if (value instanceof ArrayBuffer) return value.byteLength
  if (ArrayBuffer.isView(value)) return value.buffer.byteLength
  if (value instanceof Map) for (const entry of value) waiting.push(...entry)
  else if (value instanceof Set) for (const member of value) waiting.push(member)
  else if (value instanceof ImageData) return value.data.byteLength
  else return weighProperties(value, waiting)
  return 0
}

function weighProperties(value: object, waiting: unknown[]): number {
  let size = 0
  for (const [name, member] of Object.entries(value)) {
    size += name.length
    if (size > MAX_VALUE_SIZE) break
    waiting.push(member)
  }
  return size
}

/** A key that later changes of the app's own array, Date or buffer do not reach. `key` is known to be valid. */
export function copyKey(key: IDBValidKey): IDBValidKey {
  if (typeof key !== 'object') return key
  return IDBKeyRange.only(key).lower as IDBValidKey
}

/** About what a key adds to a row. */
export function sizeOfKey(key: unknown): number {
  if (typeof key === 'string') return key.length
  if (typeof key !== 'object' || key === null) return 8
  if (Array.isArray(key)) return key.reduce((sum: number, part) => sum + sizeOfKey(part), 8)
  return key instanceof ArrayBuffer ? key.byteLength : 8
}

/** How the keys of a store come about. */
export interface KeyShape {
  readonly keyPath: string | readonly string[] | null
  readonly autoIncrement: boolean
}

/** The key inside a value that IndexedDB has accepted; undefined when the store generates it. */
export function inlineKey(value: unknown, shape: KeyShape): IDBValidKey | undefined {
  const key = atKeyPath(value, shape)
  return key === undefined ? undefined : copyKey(key as IDBValidKey)
}

/** What a value has where its store looks for the key, be it a key or not; undefined where the store does not look. */
export function atKeyPath(value: unknown, { keyPath, autoIncrement }: KeyShape): unknown {
  if (keyPath === null) return undefined
  return typeof keyPath === 'string'
    ? at(value, keyPath, autoIncrement)
    : keyPath.map((path) => at(value, path, false))
}

/**
 * Follows a key path. `own` leaves out what is inherited, which IndexedDB's clone does not have; where the
 * store generates no keys, that the put was accepted proves that the property is there.
 */
function at(value: unknown, path: string, own: boolean): unknown {
  if (path === '') return value
  let current = value
  for (const name of path.split('.')) {
    if (current === undefined || current === null) return undefined
    if (own && !(current instanceof Blob) && !Object.hasOwn(current, name)) return undefined
    current = (current as Record<string, unknown>)[name]
  }
  return current
}

/** Puts a key where its store keeps it, as the browser did in the stored record when it generated the key. */
export function injectKey(value: unknown, keyPath: string, key: IDBValidKey): void {
  const names = keyPath.split('.')
  const last = names.pop()
  let current = value as Record<string, unknown>
  for (const name of names) {
    if (!Object.hasOwn(current, name)) define(current, name, {})
    current = current[name] as Record<string, unknown>
  }
  if (last !== undefined) define(current, last, key)
}

function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  })
}
