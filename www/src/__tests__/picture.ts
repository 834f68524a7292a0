/** Everything that structured clone keeps of a value, as plain JSON to be compared. */

/** An object that is met again within itself is shown by how many levels up it is. */
export async function picture(value: unknown, around: readonly object[] = []): Promise<unknown> {
  if (typeof value !== 'object' || value === null) return scalar(value)
  const up = around.toReversed().indexOf(value)
  if (up >= 0) return { up }
  const inner = (parts: readonly unknown[]) =>
    Promise.all(parts.map((part) => picture(part, [...around, value])))
  const { name } = Object.getPrototypeOf(value)?.constructor ?? {}
  return { type: typeOf(value), name, own: await own(value, inner), ...(await held(value, inner)) }
}

function typeOf(object: object): string {
  return Object.prototype.toString.call(object).slice(8, -1)
}

function scalar(value: unknown): string {
  return Object.is(value, -0) ? 'number -0' : `${typeof value} ${String(value)}`
}

type Inner = (parts: readonly unknown[]) => Promise<unknown[]>

/** Own enumerable properties, where they are kept. */
async function own(object: object, inner: Inner): Promise<unknown> {
  if (!['Object', 'Array'].includes(typeOf(object))) return undefined
  const names = Object.keys(object).sort()
  const values = await inner(names.map((name) => (object as Record<string, unknown>)[name]))
  return names.map((name, index) => [name, values[index]])
}

async function held(object: object, inner: Inner): Promise<object> {
  if (Array.isArray(object)) return { length: object.length }
  if (object instanceof Map) return { entries: await inner([...object].flat()), size: object.size }
  if (object instanceof Set) return { members: await inner([...object]) }
  if (object instanceof Date) return { ms: scalar(object.getTime()) }
  if (object instanceof RegExp) return { text: String(object), at: object.lastIndex }
  if (object instanceof Error && typeOf(object) === 'Error') {
    const names = ['message', 'cause'].filter((name) => Object.hasOwn(object, name))
    const { stack } = object
    return { names, parts: await inner([object.name, object.message, stack, object.cause]) }
  }
  if (object instanceof Blob) return blob(object)
  if (ArrayBuffer.isView(object)) {
    return { bytes: [...new Uint8Array(object.buffer, object.byteOffset, object.byteLength)] }
  }
  if (object instanceof ArrayBuffer) return { bytes: [...new Uint8Array(object)] }
  if (['Number', 'String', 'Boolean', 'BigInt'].includes(typeOf(object))) {
    return { value: scalar(object.valueOf()) }
  }
  return platform(object, inner)
}

async function blob(object: Blob): Promise<object> {
  const bytes = [...new Uint8Array(await object.arrayBuffer())]
  const { name, lastModified } = object as Partial<File>
  return { kind: object.type, bytes, name, lastModified }
}

/** What only browsers have. */
async function platform(object: object, inner: Inner): Promise<object> {
  if (typeOf(object) === 'DOMException') {
    const { name, message } = object as DOMException
    return { name, message }
  }
  if (typeOf(object) === 'ImageData') {
    const { width, height, colorSpace, data } = object as ImageData
    return { width, height, colorSpace, data: await inner([data]) }
  }
  const { toJSON } = object as { toJSON?: () => unknown }
  return toJSON === undefined ? {} : { parts: await inner([toJSON.call(object)]) }
}
