/** What JavaScript reads in the texts that Rust takes and refuses (SEC28). */

import { describe, expect, test } from 'vitest'
import { canonicalBytes } from '../canonical'
import { decodeValue } from '../values/decode'
import { encodeValue } from '../values/encode'
import { readVectors } from './vectors'

interface InteropVectors {
  same: { name: string; text: string; canonical: string }[]
  refused: {
    name: string
    /** The bytes, or a text so many times. */
    hex?: string
    repeat?: [string, number]
    /** What JavaScript takes all the same: it is checked by Rust before it gets here. */
    javascript: 'takes' | 'refuses'
  }[]
  numbers: [string, string][]
}

const vectors = readVectors<InteropVectors>('interop.json')

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** As `fetch` gives a body. */
function textOf({ hex, repeat }: InteropVectors['refused'][number]): string {
  return repeat === undefined
    ? new TextDecoder().decode(Buffer.from(hex ?? '', 'hex'))
    : repeat[0].repeat(repeat[1])
}

describe('what Rust takes', () => {
  test.each(vectors.same)('is the same here: $name', ({ text, canonical }) => {
    expect(hex(canonicalBytes(text))).toBe(canonical)
    const encoded = encodeValue(decodeValue(text))
    expect(encoded).toHaveProperty('json')
    if ('json' in encoded) expect(hex(canonicalBytes(encoded.json))).toBe(canonical)
  })

  test.each(vectors.numbers)('is the same number here: %s', (text, bits) => {
    expect(hex(canonicalBytes(text))).toBe(`04${bits}`)
    expect(decodeValue(text)).toBe(JSON.parse(text))
  })
})

test.each(vectors.refused)('what Rust refuses is known here: $name', (vector) => {
  const decode = () => decodeValue(textOf(vector))
  if (vector.javascript === 'takes') expect(decode).not.toThrow()
  else expect(decode).toThrowError(expect.objectContaining({ code: 'bad-value' }))
})
