/**
 * The canonical bytes of a wire form, as `crates/protocol/src/canonical.rs` describes them. The
 * product computes them in Rust; this second implementation keeps the two languages to one form.
 */

const NULL = 1
const FALSE = 2
const TRUE = 3
const NUMBER = 4
const STRING = 5
const ARRAY = 6
const OBJECT = 7

/** The canonical bytes of the value whose wire form is `json`, which must be a valid one. */
export function canonicalBytes(json: string): Uint8Array {
  return Uint8Array.from(bytesOf(JSON.parse(json)))
}

function bytesOf(value: unknown): number[] {
  if (value === null) return [NULL]
  if (typeof value === 'boolean') return [value ? TRUE : FALSE]
  if (typeof value === 'number') return [NUMBER, ...littleEndian(new Float64Array([value]))]
  if (typeof value === 'string') return [STRING, ...counted(value)]
  if (Array.isArray(value)) return [ARRAY, ...length(value.length), ...value.flatMap(bytesOf)]
  const members = Object.entries(value as object)
    .map(([name, member]) => ({ name: new TextEncoder().encode(name), member }))
    .sort((one, other) => compareBytes(one.name, other.name))
  return [
    OBJECT,
    ...length(members.length),
    ...members.flatMap(({ name, member }) => [...length(name.length), ...name, ...bytesOf(member)]),
  ]
}

function counted(text: string): number[] {
  const utf8 = new TextEncoder().encode(text)
  return [...length(utf8.length), ...utf8]
}

function length(count: number): number[] {
  return littleEndian(new Uint32Array([count]))
}

/** All platforms that run browsers are little-endian. */
function littleEndian(numbers: Float64Array | Uint32Array): number[] {
  return [...new Uint8Array(numbers.buffer)]
}

function compareBytes(one: Uint8Array, other: Uint8Array): number {
  const differs = one.findIndex((byte, at) => byte !== other[at])
  if (differs < 0) return one.length - other.length
  return (one[differs] ?? 0) - (other[differs] ?? -1)
}
