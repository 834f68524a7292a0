/** What the leading tab tells the tabs of the records that their apps look at. */

import type { ToldState } from './record-sync'
import type { RecordName } from './shell/interface'
import type { CapturedHint } from './tabs'

/** Most records that one tab is told of; a page that shows more shows them by the status. */
const RECORDS_MAX = 10_000

/** What goes to all tabs: states that have changed, and how many captures of each tab they know of. */
export interface RecordNews {
  readonly states: readonly ToldState[]
  readonly heard: Readonly<Record<string, number>>
}

interface Reader {
  readonly names: readonly RecordName[]
  heard: number
}

/** Who looks at which records, as far as this tab was told while it leads. */
export class RecordDesk {
  readonly #readers = new Map<string, Reader>()
  readonly #told = new Map<string, ToldState['state']>()
  readonly #names = new Map<string, RecordName>()

  /** A tab looks at these records, and has told of so many captures. */
  watched(tab: string, names: readonly RecordName[], captures: number): void {
    if (names.length === 0) this.#readers.delete(tab)
    else this.#readers.set(tab, { names: names.slice(0, RECORDS_MAX), heard: captures })
    this.#names.clear()
    for (const reader of this.#readers.values()) {
      for (const name of reader.names) this.#names.set(idOf(name), name)
    }
    for (const id of this.#told.keys()) if (!this.#names.has(id)) this.#told.delete(id)
    // Whoever asks is told, also what others know.
    for (const name of names) this.#told.delete(idOf(name))
  }

  /** A tab has told of a capture: it is answered, also where nothing has changed. */
  captured(tab: string, hints: readonly CapturedHint[], captures: number): void {
    const reader = this.#readers.get(tab)
    if (reader === undefined) return
    reader.heard = captures
    const tables = new Set(hints.map(({ table }) => table))
    for (const name of reader.names) if (tables.has(name.table)) this.#told.delete(idOf(name))
  }

  /** What is new, asking `ask` for all of them; undefined where nothing is. */
  news(
    ask: (names: readonly RecordName[]) => readonly ToldState['state'][],
  ): RecordNews | undefined {
    if (this.#names.size === 0) return undefined
    const names = [...this.#names.values()]
    const answers = ask(names)
    const states: ToldState[] = []
    for (const [index, name] of names.entries()) {
      const id = idOf(name)
      const state = answers[index]
      if (this.#told.has(id) && this.#told.get(id) === state) continue
      this.#told.set(id, state)
      states.push({ ...name, state })
    }
    if (states.length === 0) return undefined
    const heard = [...this.#readers].map(([tab, reader]) => [tab, reader.heard] as const)
    return { states, heard: Object.fromEntries(heard) }
  }
}

function idOf({ table, lid }: RecordName): string {
  return `${lid}\0${table}`
}
