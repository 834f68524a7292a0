/** Bytes that cross to WebAssembly beside the JSON, in one piece. */

import type { Place } from './interface'

/** Gathers the bytes of one input. */
export class Beside {
  readonly #parts: Uint8Array[] = []
  #length = 0

  /** Adds bytes, one behind the other, and gives their place. */
  add(...parts: readonly Uint8Array[]): Place {
    const start = this.#length
    for (const part of parts) {
      this.#parts.push(part)
      this.#length += part.length
    }
    return [start, this.#length - start]
  }

  /** All of them. */
  join(): Uint8Array {
    const [first] = this.#parts
    if (first?.length === this.#length) return first
    const all = new Uint8Array(this.#length)
    let at = 0
    for (const part of this.#parts) {
      all.set(part, at)
      at += part.length
    }
    return all
  }
}

/** A copy of the bytes at a place: what is stored must not hold on to all of them. */
export function cut(bytes: Uint8Array, [offset, length]: Place): Uint8Array {
  return bytes.slice(offset, offset + length)
}

/**
 * The JSON of an input. Lone surrogates, of which Rust's texts have none, become U+FFFD, as in every
 * text that crosses.
 */
export function inputJson(input: object): string {
  const json = JSON.stringify(input)
  if (!json.includes('\\ud')) return json
  return json.replace(/\\(?:ud[89a-f]..|.)/g, (found) => (found.length > 2 ? '\\ufffd' : found))
}
