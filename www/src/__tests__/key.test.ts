import { expect, test } from 'vitest'
import { TidesyncError } from '../error'
import { decodeKey, encodeKey } from '../key'
import { KEYS, SORTED_KEYS } from './samples'
import { type KeyVectors, readVectors } from './vectors'

const vectors = readVectors<KeyVectors>('keys.json')

test('every sample has a vector and every vector a sample', () => {
  expect(vectors.keys.map(({ name }) => name)).toEqual(Object.keys(KEYS))
})

test.each(vectors.keys)('$name: text and key are the same in both directions', ({ name, text }) => {
  const key = KEYS[name]
  if (key === undefined) throw new Error(`no sample: ${name}`)
  expect(encodeKey(key)).toBe(text)
  expect(decodeKey(text)).toEqual(key)
  expect(encodeKey(decodeKey(text))).toBe(text)
})

test('the sorted vectors are the sorted samples', () => {
  expect(SORTED_KEYS.map(encodeKey)).toEqual(vectors.sorted)
})

test('minus zero is the key zero', () => {
  expect(encodeKey(-0)).toBe('n0')
  expect(encodeKey([-0])).toBe('a2:n0')
})

test('a view is the binary key of its part of the buffer', () => {
  const view = new DataView(Uint8Array.of(1, 0, 250, 255).buffer, 1)
  expect(encodeKey(view)).toBe(encodeKey(Uint8Array.of(0, 250, 255).buffer))
})

test.each(vectors.invalid)('refuses the text %j', (text) => {
  expect(() => decodeKey(text)).toThrowError(expect.objectContaining({ code: 'bad-key' }))
})

test.each([
  ['NaN', Number.NaN],
  ['an invalid date', new Date(Number.NaN)],
  ['null', null],
  ['undefined', undefined],
  ['a boolean', true],
  ['an object', {}],
  ['a hole', new Array(1)],
  ['a bad element', [1, [null]]],
])('refuses %s', (_, key) => {
  expect(() => encodeKey(key as IDBValidKey)).toThrowError(TidesyncError)
})

test('refuses more than 64 arrays, a cycle included', () => {
  let key: IDBValidKey = 1
  for (let level = 0; level < 64; level++) key = [key]
  expect(encodeKey(decodeKey(encodeKey(key)))).toBe(encodeKey(key))
  const deeper = key
  expect(() => encodeKey([deeper])).toThrowError(TidesyncError)
  const cycle: IDBValidKey[] = []
  cycle.push(cycle)
  expect(() => encodeKey(cycle)).toThrowError(TidesyncError)
})
