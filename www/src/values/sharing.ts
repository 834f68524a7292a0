/** How the objects within a value hang together. */

/** What is found in a value. */
export interface Sharing {
  /** All objects. */
  readonly all: ReadonlySet<object>
  /** Those that are reached more than once. */
  readonly shared: ReadonlySet<object>
  /** Those from which a way leads back to them, of each cycle at least one. */
  readonly cyclic: ReadonlySet<object>
}

/** Looks through a value as structured clone returns it, however deep. */
export function sharingOf(value: unknown): Sharing {
  const all = new Set<object>()
  const around = new Set<object>()
  const shared = new Set<object>()
  const cyclic = new Set<object>()
  const open: [object: object, parts: Iterator<unknown>][] = []
  const visit = (part: unknown) => {
    if (typeof part !== 'object' || part === null) return
    if (around.has(part)) cyclic.add(part)
    if (all.has(part)) {
      shared.add(part)
      return
    }
    all.add(part)
    around.add(part)
    open.push([part, partsOf(part).values()])
  }
  visit(value)
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const next = top[1].next()
    if (next.done) {
      around.delete(top[0])
      open.pop()
    } else visit(next.value)
  }
  return { all, shared, cyclic }
}

/** What structured clone knows an object as: `Map`, `Date`, `Object`. */
export function typeOf(object: object): string {
  return Object.prototype.toString.call(object).slice('[object '.length, -1)
}

/** What stands directly within an object. */
function partsOf(object: object): unknown[] {
  switch (typeOf(object)) {
    case 'Object':
    case 'Array':
      return Object.values(object)
    case 'Map':
      return [...(object as Map<unknown, unknown>)].flat()
    case 'Set':
      return [...(object as Set<unknown>)]
    case 'Error':
      return [(object as Error).cause]
    default:
      return []
  }
}
