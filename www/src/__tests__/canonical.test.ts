import { expect, test } from 'vitest'
import { canonicalBytes } from '../canonical'
import { fieldsOf, hashes, opHash } from './hashes'
import { siphash24 } from './siphash'
import { type HashVectors, readVectors, type ValueVectors } from './vectors'

const values = readVectors<ValueVectors>('values.json')
const vectors = readVectors<HashVectors>('hashes.json')
const key = Uint8Array.from(Buffer.from(vectors.key, 'hex'))

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

test.each([...values.values, ...values.browser])(
  '$name: canonical bytes',
  ({ wire, canonical }) => {
    expect(hex(canonicalBytes(wire))).toBe(canonical)
  },
)

test.each(values.same)('%j and %j are the same value', (one, other) => {
  expect(hex(canonicalBytes(one))).toBe(hex(canonicalBytes(other)))
})

test('different values have different canonical bytes', () => {
  const all = new Set(values.values.map(({ canonical }) => canonical))
  expect(all.size).toBe(values.values.length)
})

test('SipHash-2-4 is that of its paper', () => {
  const paperKey = Uint8Array.from({ length: 16 }, (_, at) => at)
  const input = Uint8Array.from({ length: 15 }, (_, at) => at)
  expect(siphash24(paperKey, input)).toBe('a129ca6149be45e5')
})

test.each(vectors.values)('field hashes of $json', ({ json, fields, whole }) => {
  const each = fieldsOf(json)?.map(([name, text]) => [name, ...hashes(key, text)])
  expect(each).toEqual(fields)
  if (each === undefined) expect(hashes(key, json)).toEqual(whole)
})

test.each(vectors.ops)('hash of an operation on $table $rid', (op) => {
  expect(opHash(op)).toBe(op.hash)
})
