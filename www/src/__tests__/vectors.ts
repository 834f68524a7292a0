/** Reads the golden vectors that the Rust tests read too. */

import { readFileSync } from 'node:fs'

const FOLDER = new URL('../../../crates/protocol/vectors/', import.meta.url)

export interface KeyVectors {
  keys: { name: string; text: string }[]
  sorted: string[]
  invalid: string[]
}

export interface ValueVectors {
  values: { name: string; wire: string; canonical: string }[]
  /** Of types that only browsers have. */
  browser: { name: string; wire: string; canonical: string }[]
  /** Other spellings of the same value. */
  same: [string, string][]
  /** Not wire forms. */
  invalid: string[]
  /** Wire forms of what a browser need not take. */
  unsupported: string[]
  /** Not wire forms either, but `JSON.parse` does not tell. */
  invalidUnseen: string[]
}

export interface HashVectors {
  key: string
  values: { json: string; fields?: [string, string, string][]; whole?: [string, string] }[]
  ops: {
    table: string
    rid: string
    base: number
    value?: string
    set?: Record<string, string>
    unset?: string[]
    hash: string
  }[]
}

export function readVectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8'))
}
