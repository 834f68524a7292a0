/** SipHash-2-4, written from its paper to check the hashes of the Rust side: slow and plain. */

const MASK = (1n << 64n) - 1n

function rotate(value: bigint, by: bigint): bigint {
  return ((value << by) | (value >> (64n - by))) & MASK
}

class State {
  readonly #v: [bigint, bigint, bigint, bigint]

  constructor(k0: bigint, k1: bigint) {
    this.#v = [
      k0 ^ 0x736f6d6570736575n,
      k1 ^ 0x646f72616e646f6dn,
      k0 ^ 0x6c7967656e657261n,
      k1 ^ 0x7465646279746573n,
    ]
  }

  absorb(word: bigint): void {
    this.#v[3] ^= word
    this.#rounds(2)
    this.#v[0] ^= word
  }

  finish(): bigint {
    this.#v[2] ^= 0xffn
    this.#rounds(4)
    return this.#v.reduce((hash, word) => hash ^ word, 0n)
  }

  #rounds(count: number): void {
    let [a, b, c, d] = this.#v
    for (let round = 0; round < count; round++) {
      a = (a + b) & MASK
      b = rotate(b, 13n) ^ a
      a = rotate(a, 32n)
      c = (c + d) & MASK
      d = rotate(d, 16n) ^ c
      a = (a + d) & MASK
      d = rotate(d, 21n) ^ a
      c = (c + b) & MASK
      b = rotate(b, 17n) ^ c
      c = rotate(c, 32n)
    }
    this.#v.splice(0, 4, a, b, c, d)
  }
}

/** The hash of `bytes` under a key of 16 bytes, as 16 hex digits. */
export function siphash24(key: Uint8Array, bytes: Uint8Array): string {
  const keys = new DataView(key.buffer, key.byteOffset, 16)
  const state = new State(keys.getBigUint64(0, true), keys.getBigUint64(8, true))
  const padded = new Uint8Array(Math.floor(bytes.length / 8) * 8 + 8)
  padded.set(bytes)
  padded[padded.length - 1] = bytes.length & 0xff
  const words = new DataView(padded.buffer)
  for (let at = 0; at < padded.length; at += 8) state.absorb(words.getBigUint64(at, true))
  return state.finish().toString(16).padStart(16, '0')
}
