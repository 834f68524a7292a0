/** Names of the object stores that Tidesync keeps in the app's database, and how they are hidden from the app. */

const PREFIX = 'tidesync.'
const LOG_PREFIX = 'tidesync.log.'

/** The store of what is ready to be sent. */
export const STAGED_STORE: string = 'tidesync.staged'

/** The store of what the server refused or what cannot be sent. */
export const HELD_STORE: string = 'tidesync.held'

/** The store of what the server is known to have. */
export const SHADOW_STORE: string = 'tidesync.shadow'

/** The store of the engine's own record and the leader's fence. */
export const META_STORE: string = 'tidesync.meta'

/** The store of conflicts that were resolved without asking, under generated keys. */
export const HISTORY_STORE: string = 'tidesync.history'

/** The engine's stores. Each table has a log store besides. */
export const ENGINE_STORES: readonly string[] = [
  STAGED_STORE,
  HELD_STORE,
  SHADOW_STORE,
  META_STORE,
  HISTORY_STORE,
]

/** The store that holds the log of `table`. */
export function logStoreName(table: string): string {
  return LOG_PREFIX + table
}

/** The table whose log a store holds; undefined where it is no log. */
export function tableOfLog(store: string): string | undefined {
  return store.startsWith(LOG_PREFIX) ? store.slice(LOG_PREFIX.length) : undefined
}

/** Whether a store is one of ours. */
export function isOurs(store: string): boolean {
  return store.startsWith(PREFIX)
}

/** Tables that are tracked: those that exist beside a log store of theirs. */
export function trackedTables(stores: Iterable<string>): string[] {
  const all = new Set(stores)
  return [...all].filter((name) => !isOurs(name) && all.has(logStoreName(name)))
}

const hiddenLists = new WeakMap<object, readonly string[]>()

function namesOf(list: unknown): readonly string[] {
  const names = typeof list === 'object' && list !== null ? hiddenLists.get(list) : undefined
  if (names === undefined) throw new TypeError('Illegal invocation')
  return names
}

function required(args: readonly unknown[], method: string): unknown {
  if (args.length > 0) return args[0]
  throw new TypeError(
    `Failed to execute '${method}' on 'DOMStringList': 1 argument required, but only 0 present.`,
  )
}

const listMembers = {
  get length(): number {
    return namesOf(this).length
  },
  item(...args: unknown[]): string | null {
    return namesOf(this)[Number(required(args, 'item')) >>> 0] ?? null
  },
  contains(...args: unknown[]): boolean {
    return namesOf(this).includes(String(required(args, 'contains')))
  },
  [Symbol.iterator](): IterableIterator<string> {
    return namesOf(this)[Symbol.iterator]()
  },
}

let listPrototype: object | undefined

function hiddenListPrototype(): object {
  listPrototype ??= Object.create(
    DOMStringList.prototype,
    Object.getOwnPropertyDescriptors(listMembers),
  ) as object
  return listPrototype
}

/** `list` without our stores; the list itself when it holds none of them. */
export function withoutOurs(list: DOMStringList): DOMStringList {
  const all = Array.from(list)
  const names = all.filter((name) => !isOurs(name))
  if (names.length === all.length) return list
  const hidden = Object.create(hiddenListPrototype()) as DOMStringList
  for (const [index, name] of names.entries()) {
    Object.defineProperty(hidden, index, { value: name, enumerable: true, configurable: true })
  }
  hiddenLists.set(hidden, names)
  return hidden
}
